// Elements of the page. Data becomes text nodes and attributes, never markup.

/**
 * An element with its properties and children.
 *
 * Properties that are functions become listeners, `dataset` and `style` are merged, names with a
 * hyphen and `role` become attributes. Children that are null or false are left out.
 */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (typeof value === "function") made.addEventListener(name, value);
    else if (name === "dataset") Object.assign(made.dataset, value);
    else if (name === "style") setStyle(made, value);
    else if (name.includes("-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.flat().filter((child) => child !== null && child !== false && child !== undefined));
  return made;
}

function setStyle(made, values) {
  for (const [name, value] of Object.entries(values)) made.style.setProperty(name, value);
}

const paragraph = (text, className = "") => element("p", { className }, text);

const note = (...children) => element("p", { className: "note" }, ...children);

const under = (...children) => element("div", { className: "under" }, ...children);

/** A section with a heading; its name is part of the outline. */
const section = (title, ...children) =>
  element("section", {}, element("h2", {}, title), ...children);

/** A text that may break after the marks inside of names. */
function breakable(text) {
  const parts = text.split(/(?<=[_,=(/])|(?=\[)/);
  return parts.flatMap((part, i) => (i ? [document.createElement("wbr"), part] : [part]));
}

/** A set of choices of which one holds; `key` is what it changes in the state. */
function choice(label, key, options, value = state[key]) {
  return element(
    "fieldset",
    { className: "choice" },
    element("legend", {}, label),
    ...options.map(([option, text, disabled = false]) =>
      element(
        "label",
        {},
        element("input", {
          type: "radio",
          name: `choice-${key}`,
          checked: option === value,
          disabled,
          dataset: { key: `${key}:${option}` },
          change: () => go({ [key]: option }),
        }),
        element("span", {}, text),
      ),
    ),
  );
}

/** A choice among many. */
function picker(label, key, options, value = state[key]) {
  const select = element("select", {
    dataset: { key },
    change: (event) => go({ [key]: event.target.value }),
  });
  for (const [option, text] of options) {
    const shown = shortened(text, 70);
    select.append(element("option", { value: option, selected: option === value }, shown));
  }
  return element("label", { className: "picker" }, element("span", {}, label), select);
}

/** A box that is ticked or not. */
function toggle(label, key, disabled = false) {
  const box = element("input", {
    type: "checkbox",
    checked: state[key] === "yes",
    disabled,
    dataset: { key },
    change: (event) => go({ [key]: event.target.checked ? "yes" : "no" }),
  });
  return element("label", { className: "toggle" }, box, element("span", {}, label));
}

/** What is made and shown when it is asked for. */
function unfolds(label, key, make) {
  const made = element("details", { dataset: { key } }, element("summary", {}, label));
  made.addEventListener("toggle", () => made.open && made.children.length === 1 && made.append(make()));
  return made;
}

const controls = (...children) => element("div", { className: "controls" }, ...children);

/** What can be pressed and opens the trials of these rows. */
function opens(rows, ...children) {
  const names = rows.map((row) => row.name);
  return element(
    "button",
    {
      type: "button",
      className: "opens",
      title: `Open the trials of ${listed(names.map((name) => shortened(name, 60)))}`,
      click: () => go({ rows: names, trial: "" }),
    },
    ...children,
  );
}

/** What can be pressed and opens one trial. */
const opensTrial = (trial, ...children) =>
  element("button", { type: "button", className: "opens", title: `Open trial ${trialName(trial)}`, click: () => go({ trial: trial.id }) }, ...children);

/** Hands a text to the browser as a file. */
function download(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
