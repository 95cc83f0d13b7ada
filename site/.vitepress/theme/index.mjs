// VitePress' own theme, and Mermaid for the pictures.
import DefaultTheme from "vitepress/theme";
import { defineComponent, h, onMounted, ref } from "vue";

let pictures = 0;

const Mermaid = defineComponent({
  props: { source: { type: String, required: true } },
  setup(props) {
    const svg = ref("");
    onMounted(async () => {
      const { default: mermaid } = await import("mermaid");
      mermaid.initialize({
        startOnLoad: false,
        securityLevel: "strict",
        theme: "neutral",
        htmlLabels: false,
      });
      pictures += 1;
      svg.value = (await mermaid.render(`picture-${pictures}`, decodeURIComponent(props.source))).svg;
    });
    return () => h("figure", { innerHTML: svg.value, style: "overflow-x: auto" });
  },
});

export default {
  extends: DefaultTheme,
  enhanceApp({ app }) {
    app.component("Mermaid", Mermaid);
  },
};
