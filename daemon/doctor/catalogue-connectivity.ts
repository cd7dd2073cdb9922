import type { CatalogueCheck } from "./catalogue.ts";

const clockOrCertificate = {
  severity: "error",
  when: "it begins to be valid in the future: most likely this machine's clock is wrong",
  todo: "Check the clock with `date -u`, and set it; only where it is right, ask for another certificate.",
} as const;

export const connectivityChecks = {
  "connectivity.port": {
    looksAt: "the port of the embedded bus: free, or held by this daemon",
    problems: {
      taken: {
        severity: "error",
        when: "another process has it",
        todo: 'Stop that program, give bus.port another number, or use its broker with bus: { kind: external, url: "mqtt://127.0.0.1:{port}" }.',
      },
    },
  },
  "connectivity.names": {
    looksAt: "each host name of the configuration: brokers, proxy, web addresses, mail server",
    problems: {
      unknown: {
        severity: "error",
        when: "the name servers do not know it",
        todo: "Correct the name in the configuration, or have {host} entered in DNS or in /etc/hosts.",
      },
      silent: {
        severity: "error",
        when: "no name server answers",
        todo: "Check /etc/resolv.conf ({servers}) and the way there: `ping` each of them, and let UDP and TCP port 53 through.",
      },
    },
  },
  "connectivity.reach": {
    looksAt: "a TCP connection to each of them, within 4 s",
    problems: {
      refused: {
        severity: "error",
        when: "the machine answers, and nothing listens on the port",
        todo: "Start the service on {host}, or correct the port {port} in the configuration.",
      },
      silent: {
        severity: "error",
        when: "nothing answers: a firewall, a wrong address, or a machine that is off",
        todo: "Check that {host} is on (`ping {host}`) and that firewalls let TCP port {port} through.",
      },
      unreachable: {
        severity: "error",
        when: "there is no route",
        todo: "Check cable, address and gateway of this machine: `ip address` and `ip route get {address}`.",
      },
      proxy: {
        severity: "error",
        when: "the proxy does not let it through",
        todo: "Have {host}:{port} allowed at the proxy, or correct fleet.proxy.",
      },
    },
  },
  "connectivity.tls": {
    looksAt: "the certificate of each TLS server: its CA, its name, and how long it is valid",
    problems: {
      untrusted: {
        severity: "error",
        when: "the configured CA (else the system's) did not sign it",
        todo: "Name the CA that signed it as {key} (`openssl s_client -connect {host}:{port} -showcerts` shows who did).",
      },
      "wrong-name": {
        severity: "error",
        when: "it is for another host name",
        todo: "Use one of its names in the configuration, or, for a broker, name it as tls.serverName.",
      },
      expired: {
        severity: "error",
        when: "it is not valid any more",
        todo: "Have the server's certificate renewed, or check this machine's clock with `date -u`.",
      },
      "not-yet-valid": clockOrCertificate,
      "expires-soon": {
        severity: "warning",
        when: "it is valid for less than 30 days",
        todo: "Have the certificate of {host} renewed before it ends.",
      },
      failed: {
        severity: "error",
        when: "TLS is not agreed, or the server refuses our certificate",
        todo: "Check that {host}:{port} speaks TLS 1.2 or later, and that it trusts the CA of our certificate.",
      },
    },
  },
  "connectivity.certificate": {
    looksAt: "this gateway's own certificates: how long they are valid, and whether the key is theirs",
    problems: {
      expired: {
        severity: "error",
        when: "it is not valid any more",
        todo: "Get a new one: in a fleet `holdfast enroll FILE --write` with a new enrolment, else from who gave {file}.",
      },
      "not-yet-valid": clockOrCertificate,
      "expires-soon": {
        severity: "warning",
        when: "it is valid for less than 30 days",
        todo: "Renew {file}: in a fleet see that the link is up, which renews it, else ask who gave it.",
      },
      mismatched: {
        severity: "error",
        when: "the key is not the certificate's",
        todo: "Put key and certificate that were made together into {file} and {key}.",
      },
      unreadable: {
        severity: "error",
        when: "the file holds no certificate",
        todo: "Put the PEM text (-----BEGIN CERTIFICATE-----) of the certificate into {file}.",
      },
    },
  },
  "connectivity.login": {
    looksAt: "an MQTT CONNECT with the configured user, password and certificate, under a client name of doctor's own",
    problems: {
      refused: {
        severity: "error",
        when: "the broker refuses user, password or certificate",
        todo: "Correct {keys} and the user at the broker; its log says more.",
      },
      shared: {
        severity: "warning",
        when: "the broker names its clients itself, so that doctor came in as the daemon, which connected again after it",
        todo: "Nothing has to be done; run doctor seldom here, since each run interrupts the daemon's connection for a moment.",
      },
      unwilling: {
        severity: "warning",
        when: "the broker refuses for another reason: busy, a quota, the client's name, its version",
        todo: "Look into the broker's log for why, and try again.",
      },
      silent: {
        severity: "error",
        when: "it takes the connection, and does not answer or hangs up",
        todo: "Check that {host}:{port} is an MQTT broker's port of this kind ({scheme}), and look into the broker's log.",
      },
    },
  },
} as const satisfies Readonly<Record<string, CatalogueCheck>>;
