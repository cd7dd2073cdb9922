import { spawnSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

const CA_CONFIG = `[ca]
default_ca = it
[it]
database = ca.index
serial = ca.serial
default_md = sha256
policy = any
[any]
commonName = supplied
`;

/** Keys and certificates of two days, made by openssl in a folder. */
export function certificatesIn(directory: string) {
  const openssl = (...args: string[]): void => {
    const { status, stderr } = spawnSync("openssl", args, { cwd: directory });
    if (status !== 0) throw new Error(stderr.toString());
  };
  return {
    /** NAME.pem and NAME.key of a CA. */
    authority(name: string): void {
      const files = ["-keyout", `${name}.key`, "-out", `${name}.pem`];
      openssl("req", "-x509", ...NEW_KEY, "-subj", `/CN=${name}`, "-days", "2", ...files);
    },
    /** NAME.pem and NAME.key, signed by a CA. `from` and `to` as in 20200101000000Z; default: two days from now on. */
    certificate(name: string, authority: string, extension: string, from?: string, to?: string): void {
      openssl("req", ...NEW_KEY, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`);
      writeFileSync(join(directory, `${name}.ext`), `${extension}\n`);
      const files = ["-in", `${name}.csr`, "-extfile", `${name}.ext`, "-out", `${name}.pem`];
      const signer = [`${authority}.pem`, `${authority}.key`] as const;
      if (from === undefined || to === undefined) {
        openssl("x509", "-req", "-CA", signer[0], "-CAkey", signer[1], "-CAcreateserial", "-days", "2", ...files);
      } else {
        writeFileSync(join(directory, "ca.cnf"), CA_CONFIG);
        writeFileSync(join(directory, "ca.index"), "");
        const dates = ["-startdate", from, "-enddate", to];
        const ca = ["ca", "-batch", "-config", "ca.cnf", "-cert", signer[0], "-keyfile", signer[1]];
        openssl(...ca, "-create_serial", "-notext", "-outdir", ".", ...dates, ...files);
      }
      chmodSync(join(directory, `${name}.key`), 0o600);
    },
  };
}
