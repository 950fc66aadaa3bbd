"""Where the apiserver is: KUBEMR_APISERVER, or the pod's service account, or an error that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubemr.locks import ConfigError, Server, from_environment


@pytest.fixture
def account(tmp_path: Path) -> Path:
    """A service account as Kubernetes mounts it."""
    (tmp_path / "token").write_text("pod-token\n")
    (tmp_path / "ca.crt").write_text("authority")
    return tmp_path


def test_the_variable_comes_first(account: Path) -> None:
    """Also in a pod."""
    environ = {
        "KUBEMR_APISERVER": "https://10.0.0.1:6443",
        "KUBEMR_APISERVER_TOKEN": "secret",
        "KUBEMR_APISERVER_CA": str(account / "ca.crt"),
        "KUBERNETES_SERVICE_HOST": "10.96.0.1",
        "KUBERNETES_SERVICE_PORT": "443",
    }
    server = from_environment(environ, account)
    assert server == Server("https://10.0.0.1:6443", token="secret", ca_file=str(account / "ca.crt"))
    assert "secret" not in repr(server)


def test_a_proxy_needs_no_credentials() -> None:
    """Empty variables are as good as none."""
    environ = {"KUBEMR_APISERVER": "http://127.0.0.1:8001", "KUBEMR_APISERVER_TOKEN": "", "KUBEMR_APISERVER_CA": ""}
    assert from_environment(environ) == Server("http://127.0.0.1:8001")


@pytest.mark.parametrize(
    ("host", "url"), [("10.96.0.1", "https://10.96.0.1:443"), ("fd00::1", "https://[fd00::1]:443")]
)
def test_a_pod_uses_its_service_account(account: Path, host: str, url: str) -> None:
    """The token by its file, since it is rotated."""
    server = from_environment({"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443"}, account)
    assert server == Server(url, token_file=str(account / "token"), ca_file=str(account / "ca.crt"))


def test_a_pod_without_an_authority_file_trusts_the_systems(account: Path) -> None:
    """It is never left unchecked."""
    (account / "ca.crt").unlink()
    environ = {"KUBERNETES_SERVICE_HOST": "h", "KUBERNETES_SERVICE_PORT": "443"}
    assert from_environment(environ, account).ca_file is None


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "no apiserver.*kubectl proxy"),
        ({"KUBERNETES_SERVICE_HOST": "h", "KUBERNETES_SERVICE_PORT": "1"}, "automountServiceAccountToken"),
        ({"KUBEMR_APISERVER": "10.0.0.1:6443"}, r"'10.0.0.1:6443': expected http"),
        ({"KUBEMR_APISERVER": "ftp://h"}, "ftp"),
        ({"KUBEMR_APISERVER": "http://"}, "expected http"),
        (
            {"KUBEMR_APISERVER": "https://h", "KUBEMR_APISERVER_CA": "/none"},
            "KUBEMR_APISERVER_CA='/none': no such file",
        ),
    ],
)
def test_mistakes_are_named_with_their_remedy(tmp_path: Path, environ: dict[str, str], message: str) -> None:
    """Each error says the variable or file, its value and what to do."""
    with pytest.raises(ConfigError, match=message):
        from_environment(environ, tmp_path)
