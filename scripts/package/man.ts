type Say = (args: readonly string[]) => Promise<string>;

/** A manual page made of the program's own help, so that it never lags behind. */
export async function manPage(name: string, version: string, date: string, help: Say): Promise<string> {
  const top = await help(["--help"]);
  const purpose = /^(?!Usage)(\S.*)$/m.exec(top)?.[1]?.replace(/\.$/, "") ?? "";
  const verbs = verbsIn(top);
  const pages = await Promise.all(verbs.map(async (verb) => ({ verb, text: await help([verb, "--help"]) })));
  return `.TH ${name.toUpperCase()} 1 "${date}" "${name} ${version}" "Holdfast"
.SH NAME
${name} \\- ${escaped(purpose)}
.SH SYNOPSIS
.B ${name}
.I verb
[\\fIoptions\\fR]
.SH VERBS
${pages.map(({ verb, text }) => `.SS ${name} ${verb}\n${preformatted(text)}`).join("\n")}
.SH EXIT STATUS
0 done, 1 failed, 2 wrong usage, 78 the configuration has mistakes.
.SH FILES
${FILES.map(([path, what]) => `.TP\n.I ${path}\n${what}`).join("\n")}
.SH SEE ALSO
/usr/share/doc/holdfast/docs, ${name === "holdfast" ? "holdfast-fleet" : "holdfast"}(1), ${name}.yaml(5), systemctl(1), journalctl(1)
`;
}

const FILES: readonly (readonly [string, string])[] = [
  ["/etc/holdfast/holdfast.yaml", "The gateway's configuration; conf.d/*.yaml beside it lies over it."],
  ["/etc/holdfast/credentials", "Secrets, read by the service manager alone (LoadCredential= in a drop-in)."],
  ["/var/lib/holdfast", "The log with every decision, keys, models, and what is needed after a restart."],
  ["/usr/share/holdfast/drop-ins", "For units: serial ports, GPIO, programs, no memory both writable and executable."],
  ["/usr/share/holdfast/examples", "Configurations to begin with."],
];

function verbsIn(help: string): string[] {
  const listed = help.slice(help.indexOf("Commands:"));
  return [...listed.matchAll(/^ {2}([a-z][a-z-]*)(?:\|[a-z-]+)?(?: .*)?$/gm)].flatMap(([, verb]) =>
    verb === undefined || verb === "help" ? [] : [verb],
  );
}

function preformatted(text: string): string {
  return `.nf\n${text.trimEnd().split("\n").map(escaped).join("\n")}\n.fi`;
}

/** roff(7): a backslash is an escape, a dot or quote at the beginning of a line a request; other letters go by number. */
export function escaped(line: string): string {
  return line
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(
      /\P{ASCII}/gu,
      (letter) => `\\[u${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}]`,
    )
    .replace(/^([.'])/, "\\&$1");
}
