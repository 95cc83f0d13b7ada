/**
 * The program's name.
 *
 * @module One constant, for help, completion and messages.
 */
export const PROGRAM = "bao-kms-provider";
