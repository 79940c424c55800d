import { defineConfig } from "vitest/config";

// htmx carries eval for attributes that we do not use and that the content security policy forbids: take it out.
const withoutEval = {
  name: "htmx-without-eval",
  transform(code: string, id: string) {
    if (!id.includes("htmx.esm")) return null;
    return code.replace("return eval(str)", "return undefined").replace(/\bnew Function\(|\bFunction\(/g, "(()=>()=>undefined)(");
  },
};

// Addresses in the built files are relative, so that they work under any STATIC_URL.
export default defineConfig({
  plugins: [withoutEval],
  base: "./",
  optimizeDeps: { exclude: ["maplibre-gl"] },
  worker: { format: "es" },
  build: {
    outDir: "../src/amb247/site/static/dist",
    emptyOutDir: true,
    manifest: "manifest.json",
    target: "es2022",
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1200,
    // Nothing becomes a data: address: the content security policy allows fonts from 'self' only.
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: {
        theme: "src/entries/theme.ts",
        app: "src/entries/app.ts",
        centre: "src/entries/centre.ts",
        chart: "src/entries/chart.ts",
        explorer: "src/entries/explorer.ts",
      },
    },
  },
  test: { environment: "happy-dom", include: ["src/**/*.test.ts"] },
});
