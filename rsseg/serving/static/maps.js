// The tool "Map".

export const tool = {
  id: "maps",
  title: "Map",
  start(page) {
    page.panel.textContent = "";
    return {};
  },
};
