import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { createMetrics } from "./metric-table.ts";

const lines = (page: { renderPage: () => string }): readonly string[] =>
  page
    .renderPage()
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));

describe("the page", () => {
  test("declares every metric of the table with its type", () => {
    const { metrics, renderPage, rows } = createMetrics();
    expect(rows).toHaveLength(Object.keys(metrics).length);
    const text = renderPage();
    for (const { name, type } of rows) {
      expect(text).toContain(`# TYPE ${name} ${type}\n`);
    }
  });

  test("has the process metrics, in the units of their names", () => {
    const text = createMetrics().renderPage();
    const valueOf = (name: string): number => Number(new RegExp(`^${name} (.+)$`, "m").exec(text)?.[1]);
    const { user, system } = process.cpuUsage();
    const cpuSeconds = valueOf("process_cpu_seconds_total") / ((user + system) / 1e6);
    expect(cpuSeconds).toBeGreaterThan(0.5);
    expect(cpuSeconds).toBeLessThanOrEqual(1);
    expect(valueOf("process_resident_memory_bytes") / process.memoryUsage.rss()).toBeCloseTo(1, 0);
    // Not from the uptime: the wall clock may have been set since.
    expect(Math.abs(valueOf("process_start_time_seconds") - performance.timeOrigin / 1000)).toBeLessThan(1);
    const descriptors = readdirSync("/proc/self/fd").length;
    expect(Math.abs(valueOf("process_open_fds") - descriptors)).toBeLessThan(5);
    const limits = readFileSync("/proc/self/limits", "utf8");
    expect(valueOf("process_max_fds")).toBe(Number(/Max open files +(\d+)/.exec(limits)?.[1]));
  });

  test("is not shared between two sets of recorders", () => {
    const first = createMetrics();
    const second = createMetrics();
    first.metrics.socketRestarts.increment({});
    expect(lines(first)).toContain("openbao_kms_socket_restarts_total 1");
    expect(lines(second)).toContain("openbao_kms_socket_restarts_total 0");
  });
});

describe("recorders", () => {
  test("a counter of few series starts at zero", () => {
    const page = createMetrics();
    expect(lines(page)).toContain('openbao_kms_panic_recoveries_total{method="encrypt"} 0');
  });

  test("a gauge without labels is absent until it has a value, and again when that is unknown", () => {
    const page = createMetrics();
    const { metrics } = page;
    let ttl: number | undefined;
    metrics.tokenTtl.readAtScrape(() => ttl);
    const shown = () => lines(page).filter((line) => line.startsWith("openbao_kms_token_ttl"));
    expect(shown()).toEqual([]);
    ttl = 12;
    expect(shown()).toEqual(["openbao_kms_token_ttl_seconds 12"]);
    ttl = undefined;
    expect(shown()).toEqual([]);
  });

  test("show leaves exactly one state at 1", () => {
    const page = createMetrics();
    const { metrics } = page;
    metrics.rotationState.setOnly({ state: "active" });
    metrics.rotationState.setOnly({ state: "pending" });
    const shown = lines(page).filter((line) => line.startsWith("openbao_kms_rotation_state"));
    expect([...shown].sort()).toEqual([
      'openbao_kms_rotation_state{state="active"} 0',
      'openbao_kms_rotation_state{state="lost"} 0',
      'openbao_kms_rotation_state{state="pending"} 1',
      'openbao_kms_rotation_state{state="unknown"} 0',
    ]);
    metrics.statusKeyIdHash.setOnly({ hash: "a" });
    metrics.statusKeyIdHash.setOnly({ hash: "b" });
    expect(lines(page).filter((line) => line.includes("key_id_hash"))).toEqual([
      'openbao_kms_status_key_id_hash{hash="b"} 1',
    ]);
  });

  test("each series counts for itself, whatever the order of its labels, and continues after a scrape", () => {
    const page = createMetrics();
    const { metrics } = page;
    metrics.grpcRequests.increment({ method: "decrypt", status: "ok" });
    metrics.grpcRequests.increment({ status: "ok", method: "decrypt" });
    metrics.grpcRequests.increment({ method: "decrypt", status: "unavailable" });
    const shown = () => lines(page).filter((line) => line.startsWith("openbao_kms_grpc_requests"));
    expect(shown()).toEqual([
      'openbao_kms_grpc_requests_total{method="decrypt",status="ok"} 2',
      'openbao_kms_grpc_requests_total{method="decrypt",status="unavailable"} 1',
    ]);
    metrics.grpcRequests.increment({ method: "decrypt", status: "ok" });
    expect(shown()).toContain('openbao_kms_grpc_requests_total{method="decrypt",status="ok"} 3');
  });

  test("a histogram puts each duration into its buckets, by series", () => {
    const page = createMetrics();
    const { metrics } = page;
    metrics.grpcDuration.observe({ method: "decrypt" }, 0.002);
    metrics.grpcDuration.observe({ method: "decrypt" }, 0.2);
    metrics.grpcDuration.observe({ method: "status" }, 20);
    // A bucket has its own bound in it.
    metrics.grpcDuration.observe({ method: "encrypt" }, 0.0025);
    const shown = lines(page);
    const decrypt = (rest: string): string => `openbao_kms_grpc_duration_seconds${rest}`;
    expect(shown).toContain(decrypt('_bucket{le="0.001",method="decrypt"} 0'));
    expect(shown).toContain(decrypt('_bucket{le="0.0025",method="decrypt"} 1'));
    expect(shown).toContain(decrypt('_count{method="decrypt"} 2'));
    expect(shown).toContain(decrypt('_bucket{le="0.001",method="encrypt"} 0'));
    expect(shown).toContain(decrypt('_bucket{le="0.0025",method="encrypt"} 1'));
    expect(shown).toContain(decrypt('_bucket{le="10",method="status"} 0'));
    expect(shown).toContain(decrypt('_bucket{le="+Inf",method="status"} 1'));
  });

  test("in flight goes up and down", () => {
    const page = createMetrics();
    const { metrics } = page;
    metrics.grpcInFlight.add({ method: "decrypt" }, 1);
    metrics.grpcInFlight.add({ method: "decrypt" }, 1);
    metrics.grpcInFlight.add({ method: "decrypt" }, -1);
    expect(lines(page)).toContain('openbao_kms_grpc_in_flight{method="decrypt"} 1');
  });
});
