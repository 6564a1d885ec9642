// A text field that turns what is typed into chips: Enter or a comma ends a word, Backspace takes the last one back.

const SEPARATOR = /[,;\n\t]/;
const MOST = 255;

// A field in an element. Returns words(), finish() (end the word that is typed), suggest(names), lock().
export function chipField(element, { id, placeholder }) {
  const list = Object.assign(document.createElement("datalist"), { id: `${id}-list` });
  const input = Object.assign(document.createElement("input"), { id, placeholder, maxLength: 100, autocomplete: "off", enterKeyHint: "done" });
  input.setAttribute("list", list.id);
  input.setAttribute("aria-description", "Enter or a comma ends a word; Backspace removes the last one.");
  element.append(input, list);

  const chips = () => [...element.querySelectorAll(".chip[data-word]")]; // not those that only show a fixed class
  const words = () => chips().map((chip) => chip.dataset.word);

  function add(text) {
    const word = text.trim().replace(/\s+/g, " ");
    const known = words().some((other) => other.toLowerCase() === word.toLowerCase());
    if (!word || known || chips().length >= MOST) return;
    const chip = Object.assign(document.createElement("span"), { className: "chip", textContent: word });
    chip.dataset.word = word;
    const close = Object.assign(document.createElement("button"), { type: "button", textContent: "×" });
    close.setAttribute("aria-label", `Remove ${word}`);
    close.addEventListener("click", () => {
      chip.remove();
      input.focus();
    });
    chip.append(close);
    element.insertBefore(chip, input);
  }

  function take() {
    const parts = input.value.split(SEPARATOR);
    input.value = "";
    parts.forEach(add);
  }

  input.addEventListener("input", () => {
    if (SEPARATOR.test(input.value)) take();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && input.value.trim() && !event.isComposing) {
      event.preventDefault(); // a second Enter runs
      take();
    } else if (event.key === "Backspace" && !input.value) {
      chips().at(-1)?.remove();
    }
  });
  input.addEventListener("paste", (event) => {
    const text = event.clipboardData.getData("text");
    if (!SEPARATOR.test(text)) return;
    event.preventDefault();
    text.split(SEPARATOR).forEach(add);
  });
  element.addEventListener("click", (event) => {
    if (event.target === element) input.focus();
  });
  return {
    words,
    finish: take,
    suggest: (names) => list.replaceChildren(...names.map((name) => new Option(name))),
    lock: () => input.remove(),
  };
}
