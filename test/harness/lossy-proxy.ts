/**
 * A TCP proxy that can lose everything, as a partitioned network does.
 *
 * @module While it loses, connections stay open and new ones are accepted, and no byte passes either way. What went through such a
 * time has a hole in it, so afterwards those connections are reset.
 */
import { connect, createServer, type Socket } from "node:net";

export interface LossyProxy {
  readonly port: number;
  /** From now on nothing passes. */
  readonly lose: () => void;
  readonly heal: () => void;
  readonly stop: () => Promise<void>;
}

export async function startLossyProxy(targetPort: number): Promise<LossyProxy> {
  let isLosing = false;
  const holed = new Set<Socket>();
  const open = new Set<Socket>();
  const carry = (from: Socket, to: Socket): void => {
    open.add(from);
    from.on("data", (bytes) => {
      if (isLosing) {
        holed.add(from).add(to);
      } else {
        to.write(bytes);
      }
    });
    from.on("error", () => {});
    from.on("close", () => {
      open.delete(from);
      holed.delete(from);
      // A partition hides also that the other side has gone.
      if (!isLosing) {
        to.destroy();
      }
    });
  };
  const server = createServer((client) => {
    const target = connect(targetPort, "127.0.0.1");
    carry(client, target);
    carry(target, client);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: address !== null && typeof address === "object" ? address.port : 0,
    lose: () => {
      isLosing = true;
    },
    heal: () => {
      isLosing = false;
      for (const socket of holed) {
        socket.destroy();
      }
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) {
          socket.destroy();
        }
      }),
  };
}
