// The events of a run, taken apart from the columns that harness/report/html/columns.py makes.
"use strict";

async function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

// From the steps to the numbers; null is what is not known.
function sums(steps) {
  let last = 0;
  return steps.map((step) => (step === null ? null : (last += step)));
}

class Events {
  constructor(columns) {
    this.index = sums(columns.index);
    this.kinds = columns.kinds;
    this.kind = columns.kind;
    this.lane = columns.lane;
    this.tid = sums(columns.tid);
    this.time = sums(columns.time);
    this.cpu = columns.cpu;
    this.labels = columns.labels;
    this.label = columns.label;
    this.lanes = columns.lanes;
    this.proofs = columns.proofs;
    this.length = this.index.length;
    const lines = columns.lines;
    this._forms = lines.forms.map((form) => form.split("\0"));
    this._form = lines.of;
    this._places = lines.places.map((places) => places.map(
      (place) => (Array.isArray(place[0]) ? place[1].map((number) => place[0][number]) : sums(place))));
    const met = new Int32Array(lines.forms.length);
    this._turn = Int32Array.from(lines.of, (form) => met[form]++);
  }

  // The line as it was printed.
  line(at) {
    const form = this._form[at];
    const parts = this._forms[form];
    const turn = this._turn[at];
    return parts.slice(1).reduce((text, part, place) => text + this._places[form][place][turn] + part, parts[0]);
  }

  kindOf(at) {
    return this.kinds[this.kind[at]];
  }

  // Seconds of target time, exact; empty where the line does not tell.
  timeOf(at) {
    const time = this.time[at];
    if (time === null) return "";
    const digits = String(Math.abs(time)).padStart(8, "0");
    return `${time < 0 ? "-" : ""}${digits.slice(0, -7)}.${digits.slice(-7)} s`;
  }

  // The position of the event with this index, or of the next one; length: there is none.
  positionOf(index) {
    return firstAtLeast(this.index, index);
  }
}

// The first place of a sorted list whose value is at least this.
function firstAtLeast(sorted, value, from = 0) {
  let low = from;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
