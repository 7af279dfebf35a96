"""One tree of errors, each with an exit status; the example in the docstring is true."""

from starmill.core import errors


def test_the_tree():
    kinds = {errors.UsageError: 2, errors.InputError: 1, errors.MachineError: 3, errors.Interrupted: 130}
    for kind, status in kinds.items():
        assert issubclass(kind, errors.StarmillError)
        assert kind("said").status == status and str(kind("said")) == "said"
