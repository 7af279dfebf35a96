"""GHArchive: hours of events to issues, pull requests and facts about repositories."""
