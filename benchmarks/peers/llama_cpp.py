"""llama.cpp's HTTP server, as the wheel of xllamacpp has it, over a GGUF file: prints its address, and ends with the standard input.

python llama_cpp.py MODEL.gguf THREADS ROWS
"""

import sys

import xllamacpp

PLACES = 1024  # of the cache, for each row

if __name__ == "__main__":
    model, threads, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_parallel, params.n_ctx = rows, PLACES * rows
    params.hostnames, params.port = ["127.0.0.1"], 0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()
