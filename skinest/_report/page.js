"use strict";
for (const slider of document.querySelectorAll(".slider")) {
  const counts = JSON.parse(slider.querySelector("script").textContent);
  const range = slider.querySelector("input");
  const choice = slider.querySelector("select");
  const output = slider.querySelector("output");
  const percent = (part, whole) =>
    whole ? (100 * part / whole).toFixed(1) + " %" : "not defined";
  const show = () => {
    const { thresholds, tp, fp, p, n } = counts[choice.value];
    const k = Number(range.value);
    const cells = { tp: tp[k], fn: p - tp[k], fp: fp[k], tn: n - fp[k] };
    for (const cell of slider.querySelectorAll("[data-count]"))
      cell.textContent = cells[cell.dataset.count];
    const rates = {
      sensitivity: percent(cells.tp, p),
      specificity: percent(cells.tn, n),
      ppv: percent(cells.tp, cells.tp + cells.fp),
      npv: percent(cells.tn, cells.tn + cells.fn),
    };
    for (const rate of slider.querySelectorAll("[data-rate]"))
      rate.textContent = rates[rate.dataset.rate];
    output.textContent = thresholds[k];
    range.setAttribute("aria-valuetext", thresholds[k]);
  };
  const start = () => {
    const { thresholds, start } = counts[choice.value];
    range.max = thresholds.length - 1;
    range.value = start;
    show();
  };
  range.addEventListener("input", show);
  choice.addEventListener("change", start);
  start();
  slider.hidden = false;
}
