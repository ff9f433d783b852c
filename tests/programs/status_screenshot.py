"""`python -m tests.programs.status_screenshot`: docs/status-page.png and docs/status-page-dark.png, taken anew.

The page is the real one, behind the real nginx; only the test's name and port are replaced by an example's.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.checkout import REAL
from tests.programs.browser import browser
from tests.programs.served_site import PULLER, serving
from tests.programs.status_files import FINDING, doctor, status
from tests.programs.test_status_page import leave

PICTURES = (("status-page.png", "light", False), ("status-page-dark.png", "dark", True))


def main() -> None:
    """Take both."""
    with TemporaryDirectory() as folder, serving(Path(folder), metrics={"status_page": True}) as site:
        place = f"hosted.test:{site.port}"
        index = site.folder / "etc" / "status" / "index.html"
        index.write_text(index.read_text().replace(place, "registry.example.com"))
        with browser() as chromium:
            for name, scheme, broken in PICTURES:
                leave(site.folder, "status", status())
                leave(site.folder, "findings", doctor(*[FINDING] * broken))
                page = chromium.new_page(
                    viewport={"width": 1080, "height": 800},
                    color_scheme="dark" if scheme == "dark" else "light",
                    http_credentials={"username": PULLER[0], "password": PULLER[1]},
                )
                page.goto(f"http://{place}/status/")
                page.locator(".figure").first.wait_for()
                page.screenshot(path=REAL / "docs" / name, full_page=True)
                page.close()


if __name__ == "__main__":
    main()
