"""Somebody who reaches a pool of workers and does not have its token."""

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc


def is_refused(port: int) -> None:
    """Ask for a worker in three ways: each must be answered with UNAUTHENTICATED."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        pool = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
        for params in ({}, {"token": ""}, {"token": "another"}):
            with pytest.raises(grpc.RpcError) as refused:
                pool.StartWorker(beam_fn_api_pb2.StartWorkerRequest(worker_id="1-1", params=params), timeout=60)
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
