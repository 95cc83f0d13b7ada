/** @module The environment of the helper process: only the variables by which vendors' modules find their configuration. */

const MODULE_VARIABLES: readonly string[] = [
  // SoftHSM, Kryoptic, OpenSC, tpm2-pkcs11
  "SOFTHSM2_CONF",
  "KRYOPTIC_CONF",
  "OPENSC_CONF",
  "TPM2_PKCS11_STORE",
  "TPM2_PKCS11_TCTI",
  // Thales Luna, Entrust nShield, Utimaco, YubiHSM 2
  "ChrystokiConfigurationPath",
  "NFAST_HOME",
  "NFAST_KMDATA",
  "NFAST_SERVER",
  "CKNFAST_LOADSHARING",
  "CS_PKCS11_R2_CFG",
  "CS_PKCS11_R3_CFG",
  "YUBIHSM_PKCS11_CONF",
  // p11-kit and pkcs11-proxy, which lead to a module elsewhere
  "P11_KIT_SERVER_ADDRESS",
  "PKCS11_PROXY_SOCKET",
  "PKCS11_PROXY_TLS_PSK_FILE",
];

export function moduleEnvironment(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    MODULE_VARIABLES.flatMap((name) => {
      const value = environment[name];
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}
