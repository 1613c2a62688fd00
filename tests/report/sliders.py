"""Runs the script of a report as a browser does, with those elements that it moves."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json

import pytest

# An element without the rest of a page.
ELEMENTS = """
const element = (dataset = {}) => ({
  dataset, textContent: "", hidden: true, listeners: {}, attributes: {},
  addEventListener(name, call) { this.listeners[name] = call; },
  setAttribute(name, value) { this.attributes[name] = value; },
});
const [data, input, select, output] = [0, 0, 0, 0].map(() => element());
const counts = COUNTS.map((count) => element({ count }));
const rates = RATES.map((rate) => element({ rate }));
const slider = {
  hidden: true,
  querySelector: (name) => ({ script: data, input, select, output })[name],
  querySelectorAll: (name) => ({ "[data-count]": counts, "[data-rate]": rates })[name],
};
const document = { querySelectorAll: (name) => name === ".slider" ? [slider] : [] };
data.textContent = DATA;
select.value = "0";
const show = (chosen, place) => {
  if (chosen !== select.value) {
    select.value = chosen;
    select.listeners.change();
  }
  if (place !== null) {
    input.value = String(place);
    input.listeners.input();
  }
  const read = (elements, key) =>
    Object.fromEntries(elements.map((each) => [each.dataset[key], each.textContent]));
  return JSON.stringify({
    place: Number(input.value), last: Number(input.max), hidden: slider.hidden,
    threshold: output.textContent, spoken: input.attributes["aria-valuetext"],
    counts: read(counts, "count"), rates: read(rates, "rate"),
  });
};
"""


class Slider:
    """The slider of a page, moved by the script of the page."""

    def __init__(self, page):
        pytest.importorskip("py_mini_racer")
        from py_mini_racer import MiniRacer

        named = {
            key: [each[key] for _, each in page.tags if key in each]
            for key in ("data-count", "data-rate")
        }
        elements = ELEMENTS.replace("COUNTS", json.dumps(named["data-count"]))
        elements = elements.replace("RATES", json.dumps(named["data-rate"]))
        elements = elements.replace("DATA;", json.dumps(page.read_script(0)) + ";")
        self.engine = MiniRacer()
        self.engine.eval(elements)
        self.engine.eval(page.read_script(-1))

    def show(self, chosen=0, place=None):
        """Return what is shown for a class, at a place of the slider."""
        place = json.dumps(place)
        return json.loads(self.engine.eval(f'show("{chosen}", {place})'))
