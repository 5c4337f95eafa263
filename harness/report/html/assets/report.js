// The page: the runs that are shown, the way from one broken promise to the next, dark and light.
"use strict";

const figures = new Map();
for (const figure of document.querySelectorAll("figure.timeline")) figures.set(figure.dataset.run, new Figure(figure));

const articles = [...document.querySelectorAll("article.run")];
const numberOf = (article) => article.id.slice("run-".length);

// Where a promise was broken, in the order of the page: the part that tells of it and the number of its proof.
const broken = articles.flatMap((article) => {
  const parts = [...article.querySelectorAll(".broken-part")];
  return parts.map((part, proof) => ({ article, part, proof }));
});
let turn = 0;

async function openRun(article) {
  article.querySelector("details").open = true;
  const figure = figures.get(numberOf(article));
  await figure?.open();
  return figure;
}

// To the next broken promise (1), the one before (-1), or the first of another run.
async function jump(step, byRun = false) {
  const places = broken.filter(({ article }) => !article.hidden);
  if (!places.length) return;
  const before = places.indexOf(broken[turn]);
  const turnBy = (from) => (from + step + places.length) % places.length;
  let next = turnBy(before);
  if (byRun) for (let left = places.length; left && places[next].proof; left--) next = turnBy(next);
  const place = places[next];
  turn = broken.indexOf(place);
  for (const part of document.querySelectorAll(".current")) part.classList.remove("current");
  place.part.classList.add("current");
  const figure = await openRun(place.article);
  if (figure?.line) figure.prove(place.proof);
  (place.proof === 0 ? place.article : figure?.figure ?? place.part).scrollIntoView({ block: "start" });
  (figure?.shown ?? place.part).focus({ preventScroll: true });
  where.textContent = `${places.indexOf(place) + 1} of ${places.length}`;
}

// What a run or a row says, without the columns of its timeline.
const said = new Map();
function textOf(part) {
  if (!said.has(part)) {
    const pieces = [...part.querySelectorAll("h2, h4, p, code, li, td, th")].map((piece) => piece.textContent);
    said.set(part, pieces.join("\n").toLowerCase());
  }
  return said.get(part);
}

function filterRuns() {
  const text = words.value.toLowerCase();
  const kind = outcome.value;
  const fits = (part) => (!kind || part.dataset.outcome === kind) && (!text || textOf(part).includes(text));
  for (const article of articles) article.hidden = !fits(article);
  for (const row of document.querySelectorAll("nav.runs tbody tr")) row.hidden = !fits(row);
  const left = articles.filter((article) => !article.hidden).length;
  found.textContent = text || kind ? `${left} of ${articles.length} shown` : "";
}

function turnTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  recolour();
}

function recolour() {
  for (const { line } of figures.values()) if (line?.width) line.resize();
}

const tools = document.getElementById("tools");
const where = element(tools, "span", { role: "status", class: "where" });
if (broken.length > 1) {
  where.textContent = `1 of ${broken.length}`;
  button(tools, "◂", () => jump(-1), { "aria-label": "previous broken promise", "aria-keyshortcuts": "p", title: "previous broken promise (p)" });
  button(tools, "next ▸", () => jump(1), { "aria-label": "next broken promise", "aria-keyshortcuts": "n", title: "next broken promise (n)", id: "next" });
}
const words = element(tools, "input", { type: "search", "aria-label": "Only runs with this text", placeholder: "find a run (/)", autocomplete: "off", spellcheck: "false", id: "words" });
const outcome = element(tools, "select", { "aria-label": "Only runs that ended so", id: "outcome" });
element(outcome, "option", { value: "" }, "all results");
for (const kind of new Set(articles.map((article) => article.dataset.outcome))) element(outcome, "option", { value: kind }, kind);
const found = element(tools, "span", { role: "status" });
button(tools, "◐", turnTheme, { "aria-label": "dark or light", title: "dark or light", id: "theme" });
words.addEventListener("input", filterRuns);
outcome.addEventListener("input", filterRuns);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select")) return;
  if (event.key === "n") jump(1);
  else if (event.key === "p") jump(-1);
  else if (event.key === "N") jump(1, true);
  else if (event.key === "P") jump(-1, true);
  else if (event.key === "/") {
    words.focus();
    event.preventDefault();
  }
});

document.addEventListener("click", async (event) => {
  const chosen = event.target.closest("button[data-event]");
  if (!chosen) return;
  const figure = await openRun(chosen.closest("article"));
  if (!figure?.line) return;
  const at = figure.events.positionOf(Number(chosen.dataset.event));
  if (at >= figure.events.length) return;
  figure.line.look(at);
  figure.figure.scrollIntoView({ block: "nearest" });
});

for (const article of articles) {
  article.querySelector("details").addEventListener("toggle", (event) => {
    if (event.target.open) figures.get(numberOf(article))?.open();
  });
}

async function openNamed() {
  const named = document.getElementById(location.hash.slice(1))?.closest("article");
  if (!named) return;
  await openRun(named);
  document.getElementById(location.hash.slice(1)).scrollIntoView();
}
addEventListener("hashchange", openNamed);

if (window.innerWidth < 600) for (const part of document.querySelectorAll("nav.runs details")) part.open = false;
Promise.all(articles.filter((article) => article.querySelector("details").open).map(openRun))
  .then(openNamed)
  .then(() => requestAnimationFrame(() => { document.documentElement.dataset.ready = "true"; }));
