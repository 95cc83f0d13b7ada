/** @module One bound for the memory of all request bodies together: which request has a share, and which one loses it. */

/** The least that a request is counted with: its stream, its headers and a message of ordinary size. */
export const LEAST_SHARE_BYTES = 4096;
/** For all bodies. All calls that may run or wait (kms/admission.ts) fit in, each with its least share. */
export const MAX_BODIES_BYTES = 8 * 1024 * 1024;

/** One request's part of the budget. Only the budget changes it. */
export interface BodyShare {
  readonly session: object;
  bytes: number;
  /** A handler has the request: it is whole and not answered yet. */
  isHandled: boolean;
  /** Called when another request takes the share. */
  readonly lost: () => void;
}

interface SessionShares {
  /** In the order of arrival. */
  readonly shares: Set<BodyShare>;
  looseBytes: number;
}

export class BodyBudget {
  readonly #maxBytes: number;
  readonly #sessions = new Map<object, SessionShares>();
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Admits a request at its headers; `undefined` when there is no room for it. */
  admit(session: object, lost: () => void): BodyShare | undefined {
    if (!this.#makeRoom(session, LEAST_SHARE_BYTES)) {
      return undefined;
    }
    const share: BodyShare = { session, bytes: LEAST_SHARE_BYTES, isHandled: false, lost };
    const own = this.#sessions.get(session) ?? { shares: new Set(), looseBytes: 0 };
    this.#sessions.set(session, own);
    own.shares.add(share);
    own.looseBytes += share.bytes;
    this.#usedBytes += share.bytes;
    return share;
  }

  /** Raises a share to `bytes`; `false` when there is no room, then it stays as it was. */
  grow(share: BodyShare, bytes: number): boolean {
    const more = bytes - share.bytes;
    if (more <= 0) {
      return true;
    }
    const own = this.#sessions.get(share.session);
    if (own === undefined || !own.shares.has(share) || !this.#makeRoom(share.session, more)) {
      return false;
    }
    own.looseBytes -= looseBytes(share);
    share.bytes = bytes;
    own.looseBytes += looseBytes(share);
    this.#usedBytes += more;
    return true;
  }

  /** Whether a handler has the request. An ordinary one cannot lose its share then; a large one can. */
  setHandled(share: BodyShare, isHandled: boolean): void {
    const own = this.#sessions.get(share.session);
    if (own?.shares.has(share)) {
      own.looseBytes -= looseBytes(share);
      share.isHandled = isHandled;
      own.looseBytes += looseBytes(share);
    }
  }

  /** The request is over. May be called again. */
  release(share: BodyShare): void {
    const own = this.#sessions.get(share.session);
    if (own?.shares.delete(share)) {
      own.looseBytes -= looseBytes(share);
      this.#usedBytes -= share.bytes;
      if (own.shares.size === 0) {
        this.#sessions.delete(share.session);
      }
    }
  }

  /** Takes loose shares from the session with most of them, as long as it keeps more than the one that asks then has. */
  #makeRoom(session: object, bytes: number): boolean {
    while (this.#usedBytes + bytes > this.#maxBytes) {
      const victim = this.#oldestOfGreediest((this.#sessions.get(session)?.looseBytes ?? 0) + bytes);
      if (victim === undefined) {
        return false;
      }
      this.release(victim);
      victim.lost();
    }
    return true;
  }

  #oldestOfGreediest(thanBytes: number): BodyShare | undefined {
    let most = thanBytes;
    let greediest: SessionShares | undefined;
    for (const own of this.#sessions.values()) {
      if (own.looseBytes > most) {
        most = own.looseBytes;
        greediest = own;
      }
    }
    for (const share of greediest?.shares ?? []) {
      if (looseBytes(share) > 0) {
        return share;
      }
    }
    return undefined;
  }
}

/** Bytes that another request may take. */
function looseBytes({ bytes, isHandled }: BodyShare): number {
  return isHandled && bytes <= LEAST_SHARE_BYTES ? 0 : bytes;
}

/** One body in one buffer, within its share. Pieces are copied at once, so that small ones cost only their bytes. */
export class BodyBuffer {
  readonly #budget: BodyBudget;
  readonly #share: BodyShare;
  readonly #maxBytes: number;
  #buffer: Uint8Array = new Uint8Array(0);
  #length = 0;

  /** @param maxBytes of the whole body. */
  constructor(budget: BodyBudget, share: BodyShare, maxBytes: number) {
    this.#budget = budget;
    this.#share = share;
    this.#maxBytes = maxBytes;
  }

  add(piece: Uint8Array): "added" | "too_large" | "no_room" {
    const length = this.#length + piece.length;
    if (length > this.#maxBytes) {
      return "too_large";
    }
    if (length > this.#buffer.length) {
      // The first piece is the whole body of nearly all requests.
      const capacity = Math.min(Math.max(2 * this.#buffer.length, length), this.#maxBytes);
      if (!this.#budget.grow(this.#share, capacity)) {
        return "no_room";
      }
      const larger = new Uint8Array(capacity);
      larger.set(this.bytes);
      this.#buffer = larger;
    }
    this.#buffer.set(piece, this.#length);
    this.#length = length;
    return "added";
  }

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }
}
