import { PASSWORD } from "./broker.ts";
import type { Case } from "./case.ts";
import { CREDENTIALS, FILE } from "./site.ts";

const SECRET = `${CREDENTIALS}/bus.password`;
const MODEL = "/usr/lib/holdfast/dist/models/bundled/host-anomaly/1/model.onnx";

export const configurationCases: readonly Case[] = [
  {
    ...{
      name: "a typo in the YAML",
      check: "configuration.mistakes",
      problem: "mistake",
      todo: "holdfast check-config",
    },
    break: (site) => {
      site.save(FILE);
      site.sh(`echo 'agents: [' >> ${FILE}`);
    },
    mend: (site) => site.restore(FILE),
  },
  {
    ...{
      name: "an unknown key",
      check: "configuration.mistakes",
      problem: "mistake",
      todo: "systemctl restart holdfast",
    },
    break: (site) => {
      site.save(FILE);
      site.sh(`echo 'stroe: {}' >> ${FILE}`);
    },
    mend: (site) => site.restore(FILE),
  },
  {
    ...{
      name: "an overlay that the service may not read",
      check: "configuration.file",
      problem: "unreadable",
      todo: "chown root:holdfast",
    },
    break: (site) => {
      site.write("/etc/holdfast/conf.d/site.yaml", "device: { labels: { site: north } }\n");
      site.sh("chmod 0600 /etc/holdfast/conf.d/site.yaml");
    },
    mend: (site) => void site.sh("rm -r /etc/holdfast/conf.d"),
  },
  {
    ...{
      name: "a configuration that the service may not read",
      check: "configuration.file",
      problem: "unreadable",
      todo: `chmod 0640 ${FILE}`,
    },
    break: (site) => void site.sh(`chmod 0600 ${FILE}`),
    mend: (site) => void site.sh(`chmod 0640 ${FILE}`),
  },
  {
    ...{
      name: "no configuration",
      check: "configuration.file",
      problem: "missing",
      todo: "/usr/share/holdfast/examples",
    },
    break: (site) => void site.sh(`mv ${FILE} ${FILE}.away`),
    mend: (site) => void site.sh(`mv ${FILE}.away ${FILE}`),
  },
  {
    ...{
      name: "the daemon runs with the last good file",
      check: "configuration.last-good",
      problem: "in-use",
      todo: "systemctl restart holdfast",
    },
    break: async (site) => {
      site.save(FILE);
      site.sh(`echo 'agents: [' >> ${FILE}`);
      await site.restart();
    },
    mend: async (site) => {
      site.restore(FILE);
      await site.restart();
    },
  },
  {
    ...{
      name: "a credential is missing",
      check: "configuration.credentials",
      problem: "missing",
      todo: "LoadCredential=",
    },
    break: (site) => void site.sh(`rm ${SECRET}`),
    mend: (site) => site.password(PASSWORD),
  },
  {
    ...{ name: "a credential is empty", check: "configuration.credentials", problem: "empty", todo: "on one line" },
    break: (site) => site.password(""),
    mend: (site) => site.password(PASSWORD),
  },
  {
    ...{
      name: "a credential that all can read",
      check: "configuration.credentials",
      problem: "exposed",
      todo: `chmod o-rwx ${SECRET}`,
    },
    break: (site) => void site.sh(`chmod 0644 ${SECRET}`),
    mend: (site) => void site.sh(`chmod 0600 ${SECRET}`),
  },
  {
    ...{
      name: "a certificate that the service may not read",
      check: "configuration.credentials",
      problem: "unreadable",
      todo: "chgrp holdfast /etc/holdfast/ca.pem",
    },
    break: (site) => void site.sh("chmod 0600 /etc/holdfast/ca.pem"),
    mend: (site) => void site.sh("chmod 0644 /etc/holdfast/ca.pem"),
  },
  {
    ...{
      name: "a model's file was altered",
      check: "configuration.models",
      problem: "unusable",
      todo: "holdfast models add",
    },
    break: (site) => {
      site.save(MODEL);
      site.sh(`printf X >> ${MODEL}`);
    },
    mend: (site) => site.restore(MODEL),
  },
  {
    ...{
      name: "a model's file is gone",
      check: "configuration.models",
      problem: "unusable",
      todo: "install the package again",
    },
    break: (site) => void site.sh(`mv ${MODEL} ${MODEL}.trial-saved`),
    mend: (site) => site.restore(MODEL),
  },
  {
    ...{
      name: "the inference library is damaged",
      check: "configuration.models",
      problem: "fails",
      todo: "on another machine",
    },
    break: (site) => {
      // A running host has it mapped: another file takes its place, and the bytes below it stay.
      site.sh(
        "f=$(find /usr/lib/holdfast/node_modules/onnxruntime-node -name 'libonnxruntime.so*' -type f | head -1); mv $f $f.trial-saved; head -c 4096 $f.trial-saved > $f",
      );
    },
    mend: (site) =>
      void site.sh(
        "f=$(find /usr/lib/holdfast/node_modules/onnxruntime-node -name '*.trial-saved'); mv $f $(dirname $f)/$(basename $f .trial-saved)",
      ),
  },
];
