// The tool "Words".

export const tool = {
  id: "words",
  title: "Words",
  start(page) {
    page.panel.textContent = "";
    return {};
  },
};
