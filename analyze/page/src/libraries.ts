// Other people's libraries, in a file of their own: `analyze/assets/third-party/libraries.js`.

export * as dagre from "@dagrejs/dagre";
export * as hierarchy from "d3-hierarchy";
export * as scale from "d3-scale";
export * as preact from "preact";
export * as hooks from "preact/hooks";
export * as jsx from "preact/jsx-runtime";
