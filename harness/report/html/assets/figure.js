// The figure of one run: its timeline, what is told of the event that is looked at, and the table of all.
"use strict";

const BESIDE = 4; // events before and after the one that breaks a promise whose lanes are shown too

class Figure {
  constructor(figure) {
    this.figure = figure;
    this.caption = figure.querySelector("figcaption");
  }

  async open() {
    this.opening ??= this.build();
    await this.opening;
    this.line?.resize();
  }

  async build() {
    if (typeof DecompressionStream === "undefined") {
      element(this.figure, "p", { class: "left-out" }, "This browser is too old for the timeline; it needs DecompressionStream.");
      return;
    }
    const events = new Events(await unpack(this.figure.querySelector("script").textContent));
    events.marks = new Map();
    for (const proof of events.proofs) {
      proof.points = proof.at
        .map(([index, mark, line]) => ({ at: events.positionOf(index), index, mark, line }))
        .filter(({ at, index }) => events.index[at] === index);
      const first = proof.points.find(({ mark }) => mark === "breaking") ?? proof.points.find(({ mark }) => mark === "nearest" || mark === "last");
      proof.place = (first ?? proof.points[proof.points.length - 1])?.at ?? null;
      if (proof.broken) for (const { at, mark } of proof.points) if (!events.marks.has(at)) events.marks.set(at, mark);
    }
    this.events = events;
    this.tools = element(this.figure, "div", { class: "tools", role: "toolbar", "aria-label": "Timeline" });
    this.shown = element(this.figure, "p", { class: "shown", tabindex: "-1" });
    const viewport = element(this.figure, "div", { class: "viewport" });
    this.tip = element(this.figure, "div", { class: "tip", "aria-hidden": "true" });
    this.told = element(this.figure, "p", { class: "told", role: "status" }, "Point at an event, or step from one to the next with the arrow keys.");
    this.line = new Timeline(viewport, events, (at, place) => this.tell(at, place));
    this.line.canvas.setAttribute("aria-label",
      `Timeline of ${events.length} events in ${events.lanes.name.length - 1} processes. The table below has the same.`);
    this.fill();
    this.line.resize();
    this.line.all();
    new ResizeObserver(() => {
      if (viewport.clientWidth && viewport.clientWidth !== this.line.width) this.line.resize();
    }).observe(viewport);
    const details = element(this.figure, "details", { class: "all-events" });
    element(details, "summary", {}, `All ${events.length} events as a table`);
    details.addEventListener("toggle", () => {
      this.table ??= new EventTable(details, events, (at) => this.line.look(at));
    });
    this.prove(0);
  }

  fill() {
    const { tools, line, events } = this;
    button(tools, "−", () => line.zoom(1 / 1.6), { "aria-label": "zoom out" });
    button(tools, "+", () => line.zoom(1.6), { "aria-label": "zoom in" });
    button(tools, "all", () => line.all(), { "aria-label": "show the whole recording" });
    const spacing = button(tools, "by time", () => {
      line.space(!line.byTime);
      spacing.setAttribute("aria-pressed", String(line.byTime));
      line.look(line.current ?? 0);
    }, { "aria-pressed": "false" });
    this.cut = button(tools, "", () => this.fold(!this.folded), { "aria-pressed": "false" });
    if (events.proofs.length > 1) {
      const choice = element(tools, "select", { "aria-label": "Which proof is drawn" });
      events.proofs.forEach((proof, number) => element(choice, "option", { value: String(number) }, proof.words.slice(0, 90)));
      choice.addEventListener("input", () => this.prove(Number(choice.value)));
      this.choice = choice;
    }
  }

  // Draw a proof, and show the lanes that it is about, or all where it is about most of them.
  prove(number) {
    const proof = this.events.proofs[number];
    this.fold(Boolean(proof?.broken && proof.points.length), proof);
    if (!proof) return;
    if (this.choice) this.choice.value = String(number);
    this.shown.textContent = proof.words;
    this.shown.className = proof.broken ? "shown broken" : "shown";
    this.line.prove(proof);
  }

  fold(folded, proof = this.line.proof) {
    const { lanes } = this.line;
    const chosen = new Set(proof ? proof.points.map(({ at }) => this.events.lane[at]) : []);
    if (chosen.size) for (const lane of this.events.lane.slice(Math.max(proof.place - BESIDE, 0), proof.place + BESIDE)) chosen.add(lane);
    this.folded = folded && chosen.size > 0;
    this.line.choose(this.folded ? chosen : null);
    this.cut.setAttribute("aria-pressed", String(!this.folded));
    this.cut.textContent = this.folded && lanes.foldedLanes
      ? `all lanes (${lanes.folded} events in ${lanes.foldedLanes} more)`
      : "all lanes";
    this.cut.hidden = !chosen.size;
  }

  tell(at, place) {
    const { events } = this;
    this.tip.hidden = at === null || !place;
    if (at === null) return;
    const facts = [`event ${events.index[at]}`, events.kindOf(at), events.lanes.name[events.lane[at]], events.timeOf(at)];
    if (events.cpu[at] >= 0) facts.push(`cpu ${events.cpu[at]}`);
    const mark = events.marks.get(at);
    if (mark) facts.push(WORDS[mark]);
    this.told.replaceChildren();
    element(this.told, "span", {}, `${facts.filter(Boolean).join(" · ")} `);
    element(this.told, "code", {}, events.line(at));
    if (!place) return;
    this.tip.replaceChildren(...this.told.cloneNode(true).childNodes);
    const room = this.figure.clientWidth;
    this.tip.style.top = `${this.line.viewport.offsetTop + place.y + 18}px`;
    this.tip.style.left = `${Math.max(Math.min(place.x, room - this.tip.offsetWidth - 8), 4)}px`;
  }
}
