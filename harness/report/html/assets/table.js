// All events of a run as a table, of which only the rows in view are in the document.
"use strict";

const ROW = 24;
const AROUND = 10;
let tables = 0;

class EventTable {
  constructor(parent, events, look) {
    this.events = events;
    this.look = look; // called with the position of the event that was chosen
    this.chosen = Array.from(events.index, (index, at) => at);
    const form = element(parent, "p", { class: "filter" });
    const text = `filter-${++tables}`;
    element(form, "label", { for: text }, "Only lines with ");
    this.words = element(form, "input", { id: text, type: "search", autocomplete: "off", spellcheck: "false" });
    element(form, "label", { for: `${text}-kind` }, " of kind ");
    this.kind = element(form, "select", { id: `${text}-kind` });
    for (const kind of ["any", ...events.kinds]) element(this.kind, "option", {}, kind);
    this.count = element(form, "span", { role: "status" });
    this.window = element(parent, "div", { class: "events-window", tabindex: "0", role: "group", "aria-label": "Events" });
    this.tall = element(this.window, "div", { class: "tall" });
    this.table = element(this.tall, "table", { class: "trace" });
    element(this.table, "caption", { class: "unseen" }, "Events in the order of capture");
    const head = element(element(this.table, "thead"), "tr");
    for (const words of ["event", "time", "cpu", "kind", "process", "line"]) element(head, "th", { scope: "col" }, words);
    this.body = element(this.table, "tbody");
    this.window.addEventListener("scroll", () => this.draw());
    this.words.addEventListener("input", () => this.filter());
    this.kind.addEventListener("input", () => this.filter());
    this.filter();
  }

  filter() {
    const { events } = this;
    const words = this.words.value.toLowerCase();
    const kind = this.kind.selectedIndex - 1;
    this.chosen = [];
    for (let at = 0; at < events.length; at++) {
      if (kind >= 0 && events.kind[at] !== kind) continue;
      if (words && !events.line(at).toLowerCase().includes(words)) continue;
      this.chosen.push(at);
    }
    this.count.textContent = ` ${this.chosen.length} of ${events.length} events`;
    this.tall.style.height = `${(this.chosen.length + 2) * ROW}px`;
    this.table.setAttribute("aria-rowcount", String(this.chosen.length + 1));
    this.window.scrollTop = 0;
    this.draw();
  }

  draw() {
    const { events } = this;
    const first = Math.max(Math.floor(this.window.scrollTop / ROW) - AROUND, 0);
    const last = Math.min(first + Math.ceil((this.window.clientHeight || 300) / ROW) + 2 * AROUND, this.chosen.length);
    this.table.style.top = `${first * ROW}px`;
    this.body.replaceChildren(...this.chosen.slice(first, last).map((at, place) => {
      const row = document.createElement("tr");
      row.setAttribute("aria-rowindex", String(first + place + 2));
      const mark = events.marks.get(at);
      if (mark) row.className = mark;
      const button = element(element(row, "th", { scope: "row" }), "button", { type: "button", class: "event" }, String(events.index[at]));
      button.addEventListener("click", () => this.look(at));
      element(row, "td", { class: "number" }, events.timeOf(at));
      element(row, "td", { class: "number" }, events.cpu[at] < 0 ? "" : String(events.cpu[at]));
      element(row, "td", {}, events.kindOf(at));
      element(row, "td", {}, events.lanes.name[events.lane[at]]);
      element(element(row, "td"), "code", {}, events.line(at));
      return row;
    }));
  }
}
