/**
 * @module A certificate authority that lives as long as a test run. Makes a CA, intermediates, and server and client leaves
 * with chosen names, keys and validity.
 */
// oxlint-disable-next-line import/no-unassigned-import -- a polyfill, imported for its effect
import "reflect-metadata";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

/** Room on both sides for tests that move the wall clock by hours. */
const DAY_MS = 24 * 3_600_000;

const KEY_TYPES = {
  "ec-p256": { name: "ECDSA", namedCurve: "P-256" },
  "ec-p384": { name: "ECDSA", namedCurve: "P-384" },
  "ec-p521": { name: "ECDSA", namedCurve: "P-521" },
  ed25519: { name: "Ed25519" },
  "rsa-1024": {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 1024,
    publicExponent: Uint8Array.of(1, 0, 1),
    hash: "SHA-256",
  },
  "rsa-2048": {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 2048,
    publicExponent: Uint8Array.of(1, 0, 1),
    hash: "SHA-256",
  },
} as const;

export type TestKeyType = keyof typeof KEY_TYPES;
type Hash = "SHA-1" | "SHA-256" | "SHA-384";

/** RFC 5280 section 4.2.1.12. */
const ANY_USAGE = "2.5.29.37.0";

interface Validity {
  /** Default: two days ago. */
  readonly notBefore?: Date;
  /** Default: two days ahead. */
  readonly notAfter?: Date;
}

export interface TestCaOptions extends Validity {
  readonly commonName?: string;
  readonly keyType?: TestKeyType;
  /** The only DNS domain that certificates below this CA may name. */
  readonly permittedDomain?: string;
}

export interface LeafOptions extends Validity {
  /** Default: `localhost`. */
  readonly commonName?: string;
  /** The group, as Kubernetes takes it from a client certificate. */
  readonly organization?: string;
  /** Default for a server: `localhost` and 127.0.0.1; for a client: none. */
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly keyType?: TestKeyType;
  /** Default: SHA-256. SHA-1 makes the weak signature that checks must refuse. */
  readonly hash?: Hash;
  /** Default: the usage that the name of the method says. */
  readonly extendedKeyUsages?: readonly ("clientAuth" | "serverAuth" | "any")[];
  /** Default: digitalSignature. */
  readonly keyUsage?: "digitalSignature" | "keyEncipherment";
}

export interface Leaf {
  readonly certPem: string;
  /** The leaf and every intermediate up to, but without, the root. */
  readonly chainPem: string;
  /** PKCS#8. */
  readonly keyPem: string;
}

export interface TestCa {
  readonly certPem: string;
  readonly server: (options?: LeafOptions) => Promise<Leaf>;
  readonly client: (options?: LeafOptions) => Promise<Leaf>;
  /** A client certificate for a key that the tests do not hold, as that of a PKCS#11 token; `spki` is its DER. */
  readonly certify: (spki: Uint8Array<ArrayBuffer>, options?: LeafOptions) => Promise<Omit<Leaf, "keyPem">>;
  /** A CA under this one; its leaves' `chainPem` has it in. */
  readonly intermediate: (options?: TestCaOptions) => Promise<TestCa>;
}

interface Issuer {
  readonly name: string;
  readonly keys: CryptoKeyPair;
  /** PEM of every CA from here up to, but without, the root. */
  readonly below: string;
}

/** Makes a self-signed CA; an EC P-256 one takes a few milliseconds. */
export async function makeTestCa(options: TestCaOptions = {}): Promise<TestCa> {
  const name = `CN=${options.commonName ?? "test root"}`;
  const keys = await makeKeys(options.keyType);
  const cert = await X509CertificateGenerator.create({
    subject: name,
    issuer: name,
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    signingAlgorithm: signing(keys, "SHA-256"),
    ...validity(options),
    extensions: await caExtensions(keys, keys),
  });
  return authority(cert.toString("pem"), { name, keys, below: "" });
}

function authority(certPem: string, issuer: Issuer): TestCa {
  const issue = async (
    publicKey: CryptoKey | PublicKey,
    usage: "clientAuth" | "serverAuth",
    options: LeafOptions,
  ): Promise<Omit<Leaf, "keyPem">> => {
    const cert = await X509CertificateGenerator.create({
      subject: `CN=${options.commonName ?? "localhost"}${options.organization === undefined ? "" : `,O=${options.organization}`}`,
      issuer: issuer.name,
      publicKey,
      signingKey: issuer.keys.privateKey,
      signingAlgorithm: signing(issuer.keys, options.hash ?? "SHA-256"),
      ...validity(options),
      extensions: await leafExtensions(publicKey, issuer, usage, options),
    });
    const pem = `${cert.toString("pem")}\n`;
    return { certPem: pem, chainPem: pem + issuer.below };
  };
  const withKey = async (usage: "clientAuth" | "serverAuth", options: LeafOptions): Promise<Leaf> => {
    const keys = await makeKeys(options.keyType);
    const pkcs8 = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
    return {
      ...(await issue(keys.publicKey, usage, options)),
      keyPem: `${PemConverter.encode(pkcs8, "PRIVATE KEY")}\n`,
    };
  };

  return {
    certPem: `${certPem}\n`,
    server: (options = {}) =>
      withKey("serverAuth", { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"], ...options }),
    client: (options = {}) => withKey("clientAuth", options),
    certify: (spki, options = {}) => issue(new PublicKey(spki), "clientAuth", options),
    intermediate: async (options = {}) => {
      const name = `CN=${options.commonName ?? "test intermediate"}`;
      const keys = await makeKeys(options.keyType);
      const cert = await X509CertificateGenerator.create({
        subject: name,
        issuer: issuer.name,
        publicKey: keys.publicKey,
        signingKey: issuer.keys.privateKey,
        signingAlgorithm: signing(issuer.keys, "SHA-256"),
        ...validity(options),
        extensions: [
          ...(await caExtensions(keys, issuer.keys)),
          ...(options.permittedDomain === undefined ? [] : [nameConstraints(options.permittedDomain)]),
        ],
      });
      const pem = cert.toString("pem");
      return authority(pem, { name, keys, below: `${pem}\n${issuer.below}` });
    },
  };
}

/** RFC 5280 section 4.2.1.10: one permitted subtree, a dNSName. */
function nameConstraints(domain: string): Extension {
  const name = [0x82, domain.length, ...Buffer.from(domain, "latin1")];
  const subtree = [0x30, name.length, ...name];
  const permitted = [0xa0, subtree.length, ...subtree];
  return new Extension("2.5.29.30", true, Uint8Array.of(0x30, permitted.length, ...permitted));
}

async function makeKeys(keyType: TestKeyType = "ec-p256"): Promise<CryptoKeyPair> {
  const keys = await crypto.subtle.generateKey(KEY_TYPES[keyType], true, ["sign", "verify"]);
  if (!("privateKey" in keys)) {
    throw new TypeError(`${keyType} makes no pair of keys`);
  }
  return keys;
}

function signing(keys: CryptoKeyPair, hash: Hash): { name: string; hash: string } {
  return { name: keys.privateKey.algorithm.name, hash };
}

function validity(options: Validity): { notBefore: Date; notAfter: Date } {
  return {
    notBefore: options.notBefore ?? new Date(Date.now() - 2 * DAY_MS),
    notAfter: options.notAfter ?? new Date(Date.now() + 2 * DAY_MS),
  };
}

async function caExtensions(keys: CryptoKeyPair, issuer: CryptoKeyPair): Promise<Extension[]> {
  return [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    await SubjectKeyIdentifierExtension.create(keys.publicKey),
    await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
  ];
}

async function leafExtensions(
  publicKey: CryptoKey | PublicKey,
  issuer: Issuer,
  usage: "clientAuth" | "serverAuth",
  options: LeafOptions,
): Promise<Extension[]> {
  const names = [
    ...(options.dnsNames ?? []).map((value) => ({ type: "dns", value }) as const),
    ...(options.ipAddresses ?? []).map((value) => ({ type: "ip", value }) as const),
  ];
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags[options.keyUsage ?? "digitalSignature"], true),
    new ExtendedKeyUsageExtension(
      (options.extendedKeyUsages ?? [usage]).map((each) =>
        each === "any" ? ANY_USAGE : ExtendedKeyUsage[each],
      ),
    ),
    await SubjectKeyIdentifierExtension.create(publicKey),
    await AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey),
    ...(names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)]),
  ];
}
