"""Used as a pytest module for pictures in JupyterLab."""
import sys
from pathlib import Path
import pytest
from browser.pages import opened, shoot, add_and_run
from browser.test_deployment_panel import MADE, started, press
@pytest.mark.parametrize("theme", ["light","dark"])
def test_shoot(browser, lab, theme):
    with opened(browser, lab, "shots_"+theme, [MADE], theme=theme, width=1150) as (page, c):
        shoot(page, "section.wb", Path(f"/tmp/lab-{theme}-off.png"))
        started(page)
        page.wait_for_timeout(1500)
        shoot(page, "section.wb", Path(f"/tmp/lab-{theme}-on.png"))
        for n in ("1","8","128"):
            page.get_by_label("How many ask at once").select_option(n)
            press(page, "Put load on it")
            page.get_by_role("button", name="Load is on it …").wait_for()
            page.wait_for_timeout(2500)
            if n == "8": shoot(page, "section.wb", Path(f"/tmp/lab-{theme}-load.png"))
            page.get_by_role("button", name="Put load on it").wait_for()
        page.wait_for_timeout(1500)
        shoot(page, "section.wb", Path(f"/tmp/lab-{theme}-after.png"))
        if theme == "dark": page.set_viewport_size({"width": 700, "height": 1000}); page.wait_for_timeout(800)
        add_and_run(page, "import os, signal; os.kill(panel.deployment.processes[0], signal.SIGKILL)")
        page.get_by_role("alert").get_by_text("has ended").wait_for()
        shoot(page, "section.wb", Path(f"/tmp/lab-{theme}-died.png"))
