import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["node_modules"] },
  ...tseslint.configs.recommended,
  {
    files: ["src/**/*.ts"],
    rules: {
      eqeqeq: "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      // HTML is written by the server or built with the DOM: never from strings.
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: "Build elements with the DOM." },
        { property: "outerHTML", message: "Build elements with the DOM." },
        { property: "insertAdjacentHTML", message: "Build elements with the DOM." },
      ],
    },
  },
);
