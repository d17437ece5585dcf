export * from "phospho";
