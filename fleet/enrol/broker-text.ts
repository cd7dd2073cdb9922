import { join } from "node:path";

export interface BrokerPlace {
  readonly folder: string;
  readonly port: number;
}

/** The batches of a wide window, for a collector that was away for some minutes. */
const MOST_QUEUED = 10_000;
const MOST_UNDER_WAY = 20;
/** What a gateway takes itself (docs/link.md); no message of the wire is larger. */
const MOST_PACKET_BYTES = 262_144;

/** mosquitto 2 for one fleet: TLS, everybody known by a certificate that is not revoked, and rights by name. */
export function mosquittoText({ folder, port }: BrokerPlace): string {
  const file = (name: string): string => join(folder, name);
  return `# The broker of a fleet, made by \`holdfast-fleet init\`. mosquitto 2.0 or later.
# A whole configuration, to be used alone: what it sets may be set once. Its user has to be able to read the files and to
# write state/, since mosquitto gives up root before it opens them.
listener ${port}
tls_version tlsv1.2
cafile ${file("ca.pem")}
certfile ${file("broker.pem")}
keyfile ${file("broker.key")}
crlfile ${file("crl.pem")}

# Who a client is says its certificate, and its name there is its name in acl.
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file ${file("acl")}

# What gateways said last of their state outlives a restart. Nothing else depends on what the broker keeps.
persistence true
persistence_location ${file("state")}/
autosave_interval 300

max_packet_size ${MOST_PACKET_BYTES}
max_inflight_messages ${MOST_UNDER_WAY}
max_queued_messages ${MOST_QUEUED}
`;
}

/** For mosquitto: \`%u\` is the name in a client's certificate. */
export function mosquittoAcl(fleet: string): string {
  const own = `holdfast/v1/${fleet}/%u`;
  return `# A gateway: below its own name alone. One that has only a bootstrap certificate is called enrol:NAME.
pattern write ${own}/up/#
pattern write ${own}/rep/#
pattern readwrite ${own}/state
pattern read ${own}/down/#

# Collectors; shared subscriptions are checked by the topic behind $share/collector/.
user collector
topic readwrite holdfast/v1/${fleet}/#
`;
}

/** For EMQX 5, whose listener has \`peer_cert_as_username = cn\`. */
export function emqxAcl(fleet: string): string {
  const own = `holdfast/v1/${fleet}/\${username}`;
  return `%% For acl.conf of EMQX 5. The listener needs peer_cert_as_username = cn, verify = verify_peer and
%% fail_if_no_peer_cert = true; authorization.no_match = deny.
{allow, {user, "collector"}, all, ["holdfast/v1/${fleet}/#", "$share/collector/holdfast/v1/${fleet}/#"]}.
{allow, all, publish, ["${own}/up/#", "${own}/rep/#", "${own}/state"]}.
{allow, all, subscribe, ["${own}/down/#", "${own}/state"]}.
{deny, all}.
`;
}
