"""Decides that the real nginx takes each rendered site, without a warning."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from documents import nginx_site
from hostctl.nginx_conf import OURS
from settings import parse
from tests.programs.nginx import nginx

CASES = sorted((Path(__file__).parents[1] / "cases" / "nginx_site").iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_nginx_takes_it(case: Path, tmp_path: Path) -> None:
    site = nginx_site.render(parse(yaml.safe_load((case / "in.yaml").read_text())))
    places = {OURS: f"{tmp_path}/ours", nginx_site.CACHES: f"{tmp_path}/cache", "/var/log/nginx": str(tmp_path)}
    (tmp_path / "cache").mkdir()
    for each in site.documents:
        path = tmp_path / each.path.replace(OURS, "ours").lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        text = each.text
        for old, new in places.items():
            text = text.replace(old, new)
        path.write_text(text)
    main = tmp_path / "nginx.conf"
    main.write_text(
        f"events {{}} pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
        f"http {{ access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;\n"
        f"fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;\n"
        f"include {tmp_path}/etc/nginx/conf.d/*.conf; }}\n"
    )
    done = subprocess.run([nginx(), "-t", "-c", str(main)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr
