// The tool "Draw".

export const tool = {
  id: "shapes",
  title: "Draw",
  start(page) {
    page.panel.textContent = "";
    return {};
  },
};
