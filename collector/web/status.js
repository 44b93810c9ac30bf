
"use strict";
// Without it the page says the same: it sorts tables, finds tenants, and keeps
// both when it reloads.
const view = history.state ?? { orders: {}, search: "" };
for (const table of document.querySelectorAll("table.sortable")) {
  const name = table.closest("section").getAttribute("aria-labelledby");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const key = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.sort ?? cell.textContent;
    return text !== "" && !isNaN(text) ? Number(text) : text.toLowerCase();
  };
  const compare = (a, b) => {
    if (typeof a === typeof b) {
      return typeof a === "number" ? a - b : a.localeCompare(b);
    }
    return typeof a === "number" ? 1 : -1; // what is not known before numbers
  };
  const sort = ({ column, order }) => {
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row) => [key(row, column), row]);
    rows.sort((a, b) => sign * compare(a[0], b[0]));
    body.append(...rows.map((pair) => pair[1]));
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const numeric = head.classList.contains("number");
      const first = numeric ? "descending" : "ascending";
      const second = numeric ? "ascending" : "descending";
      const order = head.getAttribute("aria-sort") === first ? second : first;
      view.orders[name] = { column, order };
      sort(view.orders[name]);
    });
  });
  if (view.orders[name]) {
    sort(view.orders[name]);
  }
}
const search = document.querySelector(".search");
if (search) {
  const input = search.querySelector("input");
  const output = search.querySelector("output");
  const rows = [...document.querySelector("table.searchable").tBodies[0].rows].map((row) => [row.textContent.toLowerCase(), row]);
  const find = () => {
    view.search = input.value;
    const wanted = input.value.trim().toLowerCase();
    let shown = 0;
    for (const [text, row] of rows) {
      row.hidden = !text.includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    output.textContent = wanted ? `${shown} of ${rows.length}` : "";
  };
  search.hidden = false;
  input.addEventListener("input", find);
  input.value = view.search;
  find();
}
// It does not reload while nobody sees it, and not while somebody types, marks
// text or goes through it by keyboard.
const reload = () => {
  if (document.hidden || !getSelection().isCollapsed || document.querySelector(":focus-visible")) {
    setTimeout(reload, 1000);
    return;
  }
  history.replaceState(view, "");
  location.reload();
};
setTimeout(reload, 60_000);
