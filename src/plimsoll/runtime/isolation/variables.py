"""Which variables of plimsoll's own environment a strict sandbox gets: those of programs, none of credentials. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

_NAMES = frozenset(
    """
    CONDA_DEFAULT_ENV CONDA_PREFIX HOME LANG LANGUAGE LD_LIBRARY_PATH LOGNAME MALLOC_ARENA_MAX MPLBACKEND PATH SHELL
    SOURCE_DATE_EPOCH TERM TZ USER VIRTUAL_ENV
    """.split()  # noqa: SIM905 - a list of words reads better than a list of strings
)
_FAMILIES = (
    *("LC_", "PYTHON", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "BLIS_", "VECLIB_"),
    *("CUDA_", "NVIDIA_", "NCCL_", "HIP_", "ROCR_", "ROCM_", "HSA_", "UCX_", "OMPI_", "PMIX_"),
    *("JAX_", "XLA_", "TF_", "TORCH_", "PYTORCH_", "GLOO_", "TOKENIZERS_"),
)
_OF_NETWORKS = ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "ssl_cert_file", "ssl_cert_dir")
_SECRET = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "API_KEY", "APIKEY")


def inside(
    variables: Mapping[str, str], outside: Mapping[str, str], *, network: bool, more: Collection[str] = ()
) -> dict[str, str]:
    """The variables of a process in a sandbox.

    What differs from `outside`, plimsoll's own environment, was set for the step. `more` are names that the file lets
    in. Temporary files are in the sandbox's own directory.
    """
    kept = {
        name: value
        for name, value in variables.items()
        if name in more or outside.get(name) != value or _is_harmless(name, network=network)
    }
    return {**kept, "TMPDIR": "/tmp"}  # noqa: S108 - the sandbox has its own


def _is_harmless(name: str, *, network: bool) -> bool:
    if any(word in name.upper() for word in _SECRET):
        return False
    if network and name.lower() in _OF_NETWORKS:
        return True
    return name in _NAMES or name.startswith(_FAMILIES)
