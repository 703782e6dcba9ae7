// Sortable tables.

// A sortable table. columns: {title, value(row), show(value, row), text, best(row), cls(row), meter}; the first heads the row.
function fillTable(table, columns, rows, decorate = () => {}) {
  let sorted = { column: null, down: false };
  const body = el("tbody");
  const heads = columns.map((column) => {
    const head = el("th", { scope: "col", className: column.text ? "text" : "" },
      el("button", { type: "button", onclick: () => sort(column) }, column.title));
    return head;
  });
  function sort(column) {
    // first click: the better end on top
    const down = sorted.column === column ? !sorted.down : Boolean(column.more);
    sorted = { column, down };
    heads.forEach((head, k) => columns[k] === column ? head.setAttribute("aria-sort", down ? "descending" : "ascending") : head.removeAttribute("aria-sort"));
    draw();
  }
  function draw() {
    const { column, down } = sorted;
    const order = [...rows];
    if (column) order.sort((a, b) => compare(column.value(a), column.value(b), down));
    body.replaceChildren(...order.map((row) => {
      const line = el("tr");
      columns.forEach((column, k) => {
        const value = column.value(row);
        const shown = value === null || value === undefined ? "–" : column.show ? column.show(value, row) : plain(value);
        const cell = el(k ? "td" : "th", { className: [column.text && "text", column.best?.(row) && "best", column.cls?.(row)].filter(Boolean).join(" ") }, shown);
        if (k === 0) cell.scope = "row";
        if (column.text && typeof shown === "string") cell.title = shown;
        if (column.meter && isNumber(value)) { cell.classList.add("meter"); cell.style.setProperty("--share", `${100 * value}%`); }
        line.append(cell);
      });
      decorate(line, row);
      return line;
    }));
  }
  table.replaceChildren(el("thead", {}, el("tr", {}, ...heads)), body);
  draw();
}
// Empty values stay at the bottom, whichever way it is sorted.
function compare(a, b, down) {
  const empty = (v) => v === null || v === undefined;
  if (empty(a) || empty(b)) return empty(a) - empty(b);
  const order = isNumber(a) && isNumber(b) ? a - b : plain(a).localeCompare(plain(b), undefined, { numeric: true });
  return down ? -order : order;
}
function settingsTable(table, settings, names) {
  const keys = Object.keys(settings);
  if (names.length < 2 || !keys.length) {
    table.replaceChildren(el("tbody", {}, el("tr", {}, el("td", { className: "text" }, names.length < 2 ? "There is one folder alone." : "None."))));
    return;
  }
  fillTable(table, [{ title: "run", text: true, value: (k) => names[k] },
    ...keys.map((key) => ({ title: key, text: true, value: (k) => settings[key][k] }))], names.map((_, k) => k));
}
