"""`starmill report`: one HTML page of a workspace, whole in one file. `gather` reads, `document` writes, the others are their parts."""
