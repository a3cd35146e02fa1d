"use strict";

(() => {
  const table = document.getElementById("models-by-suite");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  const search = document.getElementById("search");
  const choices = [...document.querySelectorAll("select[data-column]")];
  const shown = document.getElementById("shown");

  const value = (row, column) => row.cells[column].dataset.sort;

  function compare(column, isNumber, sign) {
    return (first, second) => {
      const [a, b] = [value(first, column), value(second, column)];
      // What was not measured stands last in either direction.
      if (a === "" || b === "") return (a === "") - (b === "");
      return sign * (isNumber ? Number(a) - Number(b) : a.localeCompare(b));
    };
  }

  function sortBy(heading) {
    const direction = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const other of headings) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    rows.sort(compare(headings.indexOf(heading), heading.dataset.kind === "number", sign));
    body.append(...rows);
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const names = headings.map((heading) => heading.textContent.trim());
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const isChosen = choices.every(
        (choice) => !choice.value || value(row, names.indexOf(choice.dataset.column)) === choice.value,
      );
      row.hidden = !(isChosen && words.every((word) => text.includes(word)));
    }
    const count = rows.filter((row) => !row.hidden).length;
    shown.textContent = count === rows.length ? `${count} rows` : `${count} of ${rows.length} rows`;
  }

  for (const heading of headings) heading.querySelector("button").addEventListener("click", () => sortBy(heading));
  search.addEventListener("input", filter);
  for (const choice of choices) choice.addEventListener("change", filter);
  search.form.addEventListener("submit", (event) => event.preventDefault());

  // What is folded away is printed too.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("#tables details:not([open]), #models details:not([open])")];
    for (const part of folded) part.open = true;
  });
  addEventListener("afterprint", () => {
    for (const part of folded) part.open = false;
  });

  const drawn = [...document.querySelectorAll(".chart")].map((place) =>
    vegaEmbed(place, JSON.parse(place.nextElementSibling.textContent), { actions: false, renderer: "svg" }),
  );
  Promise.all(drawn).then(() => document.documentElement.setAttribute("data-drawn", drawn.length));
})();
