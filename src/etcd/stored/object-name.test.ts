import { expect, test } from "bun:test";
import { objectName } from "./object-name.ts";

test.each([
  ["secrets/ns/name", "secrets", "ns/name"],
  ["configmaps/ns/name", "configmaps", "ns/name"],
  ["minions/node1", "nodes", "node1"],
  ["deployments/ns/name", "deployments.apps", "ns/name"],
  ["services/specs/ns/name", "services", "ns/name"],
  ["services/endpoints/ns/name", "endpoints", "ns/name"],
  [
    "apiextensions.k8s.io/customresourcedefinitions/w.example.com",
    "customresourcedefinitions.apiextensions.k8s.io",
    "w.example.com",
  ],
  ["example.com/widgets/ns/name", "widgets.example.com", "ns/name"],
  ["example.com/clusterwidgets/name", "clusterwidgets.example.com", "name"],
  ["masterleases/10.0.0.1", "masterleases", "10.0.0.1"],
  ["services/lonely", "services", "lonely"],
  ["example.com/lonely", "example.com", "lonely"],
  ["health", "health", ""],
  ["", "", ""],
])("%s", (rest, resource, path) => {
  expect(objectName(rest)).toEqual({ resource, path });
});
