"""What a user sees of a sweep in MLflow's pages: a real server, a real browser."""

import os
import re
import urllib.error
import urllib.request
from shutil import which

import pandas as pd
import pytest
import yaml
from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.environment import variables
from tests.inside import carried_out, here
from tests.tracking.servers import PATIENCE, free_port, mlflow_server

pytestmark = pytest.mark.slow

NAME, FOREIGN = "mlflow.example", "foreign.example"  # the browser finds both on this machine
METRIC = "test/pair_direct/error"
METHODS = ("activation_matching", "weight_matching")
WIDTHS = (4, 16)
SWEEP = {
    "name": "methods",
    "train": {
        "dataset": "digits",
        "width": list(WIDTHS),
        "epochs": 2,
        "batch_size": 64,
        "replicates": 3,
        "init": "pytorch",
    },
    "align": {"methods": list(METHODS)},
    "compare": {"kinds": ["unaligned", "direct"]},
    "analyses": ["width_scaling"],
}
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # which root needs, as in a container
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--window-size=1600,1200",
    "--host-resolver-rules=MAP * 127.0.0.1",
)


@pytest.fixture(scope="module", autouse=True)
def chromium():
    """The browser and its driver; asked for first, so that nothing else starts without them."""
    found = which("chromium"), which("chromedriver")
    if None in found:
        if os.environ.get("CI"):
            pytest.fail("install chromium and chromium-driver: in CI a missing browser is a failure")
        pytest.skip("Debian's packages chromium and chromium-driver are not installed")
    return found


def status(url, host):
    """With what the server answers to a Host header."""
    request = urllib.request.Request(url, headers={"Host": host})
    try:
        return urllib.request.urlopen(request, timeout=PATIENCE).status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture(scope="module")
def server(chromium, tmp_path_factory):
    """The port of a tracking server."""
    port = free_port()
    names = {
        "allowed-hosts": f"127.0.0.1:{port},{NAME}:{port}",
        "cors-allowed-origins": f"http://{NAME}:{port}",
    }
    with mlflow_server(tmp_path_factory.mktemp("server"), port, **names):
        yield port


@pytest.fixture(scope="module")
def swept(server, tmp_path_factory):
    """The root of a small sweep that has run, and the page of MLflow that it named."""
    root = tmp_path_factory.mktemp("runs")
    path = root / "methods.yaml"
    path.write_text(yaml.safe_dump(SWEEP))
    carried_out(path, root)
    with variables({"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{server}"}):
        output = here("run", path, "--root", root)
    return root, re.search(r"mlflow: +(http\S+)", output)[1]


@pytest.fixture(scope="module")
def page(chromium, swept):
    """What a user of the browser does: opens the page that the run named, by the server's other name."""
    browser, driver = chromium
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for option in OPTIONS:
        options.add_argument(option)
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as opened:
        yield Page(opened, swept[1].replace("127.0.0.1", NAME))


UNSETTLED = (
    StaleElementReferenceException,
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
)


class Page:
    """The browser: every step waits for what it needs, and no longer."""

    def __init__(self, driver, start):
        self.driver, self.start = driver, start

    def wait(self, condition, what):
        """The first true value of a condition, tried again while the page replaces or covers elements."""
        waiting = WebDriverWait(self.driver, PATIENCE, ignored_exceptions=UNSETTLED)
        return waiting.until(lambda _: condition(), f"no {what} on {self.driver.current_url}")

    def all(self, selector):
        """All elements that a CSS selector finds, at least one."""
        return self.wait(lambda: self.driver.find_elements(By.CSS_SELECTOR, selector), selector)

    def texts(self, selector):
        """The whole texts of all such elements, also of what is scrolled out of sight."""
        found = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return [element.get_attribute("textContent") for element in found]

    def click(self, by, value):
        """Click the first such element once nothing covers it."""
        self.wait(lambda: self.driver.find_element(by, value).click() is None, value)

    def tick(self, name):
        """Tick a run of the list, again if the list has just moved: the first tick opens another toolbar."""
        row = f"//*[@role='row'][.//a[.='{name}']]"

        def ticked():
            found = self.driver.find_element(By.XPATH, row).find_element(By.CSS_SELECTOR, TICK_BOX)
            return found.find_element(By.TAG_NAME, "input").is_selected() or found.click()

        self.wait(ticked, name)

    def follow(self, link):
        """Open the page that the run named, and a link of its description, which has a window of its own."""
        self.driver.switch_to.new_window("tab")
        self.driver.get(self.start)
        before = set(self.driver.window_handles)
        self.click(By.LINK_TEXT, link)
        (opened,) = self.wait(lambda: set(self.driver.window_handles) - before, "new window")
        self.driver.switch_to.window(opened)


# The labels and the values of the page's table of metrics are two grids with rows at the same heights.
ROW_OF_METRIC = """
    const links = [...document.querySelectorAll("a[title='Plot chart']")];
    const link = links.find(link => link.textContent === arguments[0]);
    if (!link) return [];
    for (let box = link; box; box = box.parentElement) {
        const cells = [...box.querySelectorAll("div")].filter(cell =>
            cell.style.top === link.parentElement.style.top && cell.querySelector(":scope > span"));
        if (cells.length) return cells.map(cell => cell.textContent);
    }
    return [];
"""


TICK_BOX = ".ag-checkbox-input-wrapper"
FIGURES = "[artifact-name$='.png']"


@pytest.fixture(scope="module")
def means(swept):
    """The mean barriers that the tables hold, by width and method: the order of the page."""
    rows = pd.read_parquet(swept[0] / "sweeps/methods/barriers").query("split == 'test' and kind == 'direct'")
    return rows.groupby(["width", "method"]).error_barrier.mean()


def names(means):
    """The runs that hold them."""
    return [f"mlp-{width} {method} digits" for width, method in means.index]


def test_a_foreign_host_is_refused(server, page):
    """A server that is reached by another name than localhost has to be told so."""
    address = f"http://127.0.0.1:{server}/"
    assert status(address, f"{NAME}:{server}") == 200
    assert status(address, f"{FOREIGN}:{server}") == 403
    page.driver.get(f"http://{FOREIGN}:{server}/")
    assert "Invalid Host header" in page.texts("body")[0]


def test_runs_of_two_widths_and_two_methods_are_compared(means, page):
    page.follow("runs to compare")
    wanted = names(means)
    page.wait(
        lambda: len(page.texts(".ag-row a[href*='/runs/']")) == len(wanted) + len(WIDTHS), "list of runs"
    )
    shown = page.texts(".ag-row a[href*='/runs/']")
    assert [name for name in shown if "unaligned" not in name] == wanted
    for name in wanted:
        page.tick(name)
    page.click(By.XPATH, "//button[normalize-space()='Compare']")
    page.wait(lambda: set(wanted) <= set(page.texts("td")), "names of the runs")
    values = page.wait(lambda: page.driver.execute_script(ROW_OF_METRIC, METRIC), METRIC)
    assert [float(value) for value in values] == pytest.approx(means.tolist(), abs=6e-4)  # rounded there
    axes = set(page.texts(".js-plotly-plot .axis-title"))
    assert {"width", "method"} < axes
    assert all(axis.startswith(("test/pair_direct/", "with ")) for axis in axes - {"width", "method"})


def test_charts_show_the_barriers(means, page):
    page.follow("charts")
    card = f"//*[@data-testid='experiment-view-compare-runs-card'][.//h4[@title='{METRIC}']]"
    plot = page.wait(
        lambda: page.driver.find_element(By.XPATH, f"{card}//*[contains(@class, 'js-plotly-plot')]"), METRIC
    )
    page.wait(lambda: len(plot.find_elements(By.CSS_SELECTOR, "svg .bars path")) == len(means), "bars")
    (drawn,) = page.driver.execute_script("return arguments[0].data", plot)
    assert drawn["names"][::-1] == names(means)  # a bar chart counts from below
    assert drawn["x"][::-1] == pytest.approx(means.tolist())


def test_figures_open_from_the_parent_run(page):
    page.follow("figures")
    page.click(By.CSS_SELECTOR, "[artifact-name='figures']")
    shown = page.wait(lambda: len(page.all(FIGURES)) == len(METHODS) and page.all(FIGURES), "figures")
    for figure in [element.get_attribute("artifact-name") for element in shown]:
        page.click(By.CSS_SELECTOR, f"[artifact-name='{figure}']")
        (image,) = page.all(f"img[alt='figures/{figure}']")
        page.wait(lambda image=image: image.get_property("naturalWidth") > 0, figure)
