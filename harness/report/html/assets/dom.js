// Elements. Text is only ever set as text.
"use strict";

function element(parent, tag, attributes = {}, text = "") {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  parent.append(made);
  return made;
}

function button(parent, words, act, attributes = {}) {
  const made = element(parent, "button", { type: "button", ...attributes }, words);
  made.addEventListener("click", act);
  return made;
}
