// The tool "Review".

export const tool = {
  id: "review",
  title: "Review",
  start(page) {
    page.panel.textContent = "";
    return {};
  },
};
