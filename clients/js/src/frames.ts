// The frames of the protocol. Made by scripts/generate_frames.mjs from the protocol's JSON Schema; do not edit.

/** What a client may send. */
export type ClientFrame = ChatMessage | UserResponse | Outcome | PreferencesChange | UserIdentify | Activity | Events | Hello | Received | ClientPing | ClientPong;

/** What a server may send. */
export type ServerFrame = ServerMessage | ChatResponse | ChatResponseDelta | Welcome | Ack | Withdrawn | Preferences | ErrorFrame | ServerPing | ServerPong;

/** What a rule or the application says to a user. */
export type ServerMessage = BackendMessage | CodeSuggestion | OtherMessage;

/** A frame of a client that tells of something that happened: what may stand in an `events` frame and in the body of POST /events. */
export type ClientEvent = ChatMessage | UserResponse | Outcome | PreferencesChange | UserIdentify | Activity;

/** The name of a client, a user, a session, an event or a message. */
export type Name = string;

/** Which client, that is which device or tab, it is; where a session is open, the session says so. */
export type ClientId = Name | null;

/** Chosen by the client, unique among its events. In a session it is answered by `ack` once the event is on the disk, and an event with the same id is not handled again. */
export type EventId = Name | number | null;

/** RFC 3339, or epoch seconds, or (above 1e11) epoch milliseconds; between the years 1970 and 8999. */
export type Moment = string | number;

/** The client's own stamp. It is kept beside the server's, which is the one that counts. */
export type ReportedAt = Moment | null;

/** Seconds since 1970-01-01T00:00:00Z. */
export type EpochSeconds = number;

/** How much a user wishes to hear. */
export type Level = "off" | "less" | "normal" | "more";

/** Rules and topics; "*" stands for everything. */
export type RuleNames = readonly Name[];

/** What the user writes. Answered by `chat_response`, and an event for the rules. */
export interface ChatMessage {
  readonly type: "chat_message";
  readonly message: string;
  readonly mode?: string | null;
  readonly context?: { readonly [name: string]: unknown } | null;
  readonly clientId?: ClientId;
  readonly id?: EventId;
  /** The session that the event belongs to. */
  readonly session?: ClientId;
  readonly at?: ReportedAt;
  readonly [field: string]: unknown;
}

/** The answer to a message that has a `questionId`. */
export interface UserResponse {
  readonly type: "user_response";
  readonly questionId: string;
  readonly response: string;
  readonly clientId?: ClientId;
  readonly id?: EventId;
  /** The session that the event belongs to. */
  readonly session?: ClientId;
  readonly at?: ReportedAt;
  readonly [field: string]: unknown;
}

/** What became of a message, by its id. */
export interface Outcome {
  readonly type: "outcome";
  /** The id of the message. */
  readonly id: Name;
  readonly outcome: "seen" | "engaged" | "answered" | "dismissed" | "muted";
  /** The answer, where it is one. */
  readonly response?: string | null;
  readonly clientId?: ClientId;
  /** The session that the event belongs to. */
  readonly session?: ClientId;
  readonly at?: ReportedAt;
}

/** What the user wishes from now on. Each field that is there replaces what held before; `mute` and `unmute` add to it and take away from it. */
export interface PreferencesChange {
  readonly type: "preferences" | "user.preferences";
  readonly level?: Level;
  readonly muted?: RuleNames;
  readonly mute?: RuleNames;
  readonly unmute?: RuleNames;
  /** Until when nothing speaks; null for no longer. */
  readonly snoozedUntil?: ReportedAt;
  /** Until when a rule or a topic keeps quiet. */
  readonly snoozed?: { readonly [name: string]: Moment };
  readonly clientId?: ClientId;
  readonly id?: EventId;
  /** The session that the event belongs to. */
  readonly session?: ClientId;
  readonly at?: ReportedAt;
}

/** Attributes of the user, `user.skill` to a rule. */
export interface UserIdentify {
  readonly type: "user.identify";
  /** An IANA time zone such as Europe/Paris. */
  readonly timezone?: string | null;
  readonly clientId?: ClientId;
  readonly id?: EventId;
  /** The session that the event belongs to. */
  readonly session?: ClientId;
  readonly at?: ReportedAt;
  readonly [field: string]: unknown;
}

/** Something that happened, of a type that the application chooses. Its other fields are the event's data. */
export interface Activity {
  readonly type: ActivityType;
  readonly clientId?: ClientId;
  readonly id?: EventId;
  /** The session that the event belongs to. */
  readonly session?: ClientId;
  readonly at?: ReportedAt;
  readonly [field: string]: unknown;
}

/** Words of letters, digits, _ and -, joined by a point, a colon, a slash or one space; none that the protocol has a use for, and none that the server alone tells. */
export type ActivityType = string;

/** Several events, taken whole or not at all. */
export interface Events {
  readonly type: "events";
  readonly events: readonly ClientEvent[];
  /** The client of the events that name none. */
  readonly clientId?: ClientId;
  readonly [field: string]: unknown;
}

/** Opens a session, or resumes one. The first frame of a connection of level 1; answered by `welcome`. */
export interface Hello {
  readonly type: "hello";
  readonly protocol: 1;
  /** Which device or tab it is; the same from one connection to the next. */
  readonly clientId: Name;
  /** Says who the user is, where authentication is on. */
  readonly token?: string | null;
  /** Who the user is, where authentication is off. Without it, the clientId. */
  readonly user?: Name | null;
  /** An IANA time zone such as Europe/Paris. */
  readonly timezone?: string | null;
  /** Attributes of the user, as `user.identify` brings them. */
  readonly traits?: { readonly [name: string]: unknown } | null;
  readonly resume?: Resume | null;
  readonly attempt?: Attempt | null;
  /** What the client can show or do beyond the rest. */
  readonly capabilities?: readonly string[] | null;
  readonly [field: string]: unknown;
}

/** The session to go on with, and the `seq` up to which its frames have come. */
export interface Resume {
  readonly session: Name;
  readonly received?: number;
  readonly [field: string]: unknown;
}

/** Which of the hellos of one run of the client this is. One that comes after a later one of the same run is refused as `replaced`: its sender has long given it up. */
export interface Attempt {
  /** Another one in every process and every page. */
  readonly run: Name;
  /** Larger than that of the hello before. */
  readonly number: number;
  readonly [field: string]: unknown;
}

/** All frames up to and with this `seq` have come. What has not is sent again after a resume. */
export interface Received {
  readonly type: "received";
  readonly seq: number;
  readonly [field: string]: unknown;
}

/** Is somebody there? Answered by `pong`. */
export interface ClientPing {
  readonly type: "ping";
  readonly clientId?: ClientId;
  readonly [field: string]: unknown;
}

/** The answer to the server's `ping`. */
export interface ClientPong {
  readonly type: "pong";
  readonly [field: string]: unknown;
}

/** A question, a suggestion or a notification. Fields of the message's own data may stand beside these. */
export interface BackendMessage {
  readonly type: "backend_message";
  readonly message: string;
  readonly messageType: "question" | "suggestion" | "notification";
  readonly timestamp: EpochSeconds;
  readonly id?: MessageId;
  readonly seq?: Seq;
  readonly questionId?: QuestionId;
  readonly options?: Options;
  readonly rule?: Rule;
  readonly expiresAt?: ExpiresAt;
  readonly clientId?: AddressedTo;
  readonly [field: string]: unknown;
}

/** A piece of code that is offered. */
export interface CodeSuggestion {
  readonly type: "code_suggestion";
  readonly code?: string;
  readonly language?: string;
  readonly explanation?: string;
  readonly message?: string;
  readonly timestamp: EpochSeconds;
  readonly id?: MessageId;
  readonly seq?: Seq;
  readonly questionId?: QuestionId;
  readonly options?: Options;
  readonly rule?: Rule;
  readonly expiresAt?: ExpiresAt;
  readonly clientId?: AddressedTo;
  readonly [field: string]: unknown;
}

/** A message of a type that a rule or the application has chosen. */
export interface OtherMessage {
  readonly type: OtherMessageType;
  readonly message?: string;
  readonly timestamp: EpochSeconds;
  readonly id?: MessageId;
  readonly seq?: Seq;
  readonly questionId?: QuestionId;
  readonly options?: Options;
  readonly rule?: Rule;
  readonly expiresAt?: ExpiresAt;
  readonly clientId?: AddressedTo;
  readonly [field: string]: unknown;
}

export type OtherMessageType = string;

/** What `outcome` names, and by which a message that comes twice is known. */
export type MessageId = string;

/** The frame's place among those of the session: 1, 2, 3 and so on. What `received` names. */
export type Seq = number;

/** What `user_response` names; there where an answer is asked for. */
export type QuestionId = string;

/** Answers to choose from. */
export type Options = readonly string[];

/** The rule that speaks; not there in messages of the application's own. */
export type Rule = string;

/** Epoch seconds after which it should no longer be shown. */
export type ExpiresAt = number;

/** Whose message it is, on a plain connection that speaks for several clients. */
export type AddressedTo = string;

/** The answer to a chat message, whole. */
export interface ChatResponse {
  readonly type: "chat_response";
  readonly message: string;
  readonly timestamp: EpochSeconds;
  readonly to?: AnswerTo;
  readonly seq?: Seq;
  readonly id?: MessageId;
  readonly expiresAt?: ExpiresAt;
  readonly [field: string]: unknown;
}

/** The next piece of an answer that is being written; the whole follows as `chat_response`. */
export interface ChatResponseDelta {
  readonly type: "chat_response_delta";
  readonly delta: string;
  readonly to?: AnswerTo;
  readonly [field: string]: unknown;
}

/** The id of the chat message that is answered, where it had one. */
export type AnswerTo = string | number;

/** The session is open. */
export interface Welcome {
  readonly type: "welcome";
  readonly session: Name;
  readonly user: Name;
  /** Epoch seconds by the server's clock. */
  readonly serverTime: number;
  /** Seconds. Who has heard nothing for twice as long takes the connection for lost. */
  readonly heartbeat: number;
  /** Epoch seconds by the server's clock from which it takes the token no more. Only where tokens are checked. A client that says `hello` again before, with a fresh one, is not cut off. */
  readonly tokenExpiresAt?: number;
  /** Whether it is the session that `hello` asked for. If not, what it had is gone but for what still waits. */
  readonly resumed: boolean;
  /** What one connection may take, by name. */
  readonly limits: { readonly [name: string]: number | null };
  readonly [field: string]: unknown;
}

/** The events with these ids are on the disk: they happened once, whatever comes. */
export interface Ack {
  readonly type: "ack";
  readonly ids: readonly (string | number)[];
  readonly [field: string]: unknown;
}

/** A message need no longer be shown: it was answered elsewhere, or taken back. It may come again after a resume. */
export interface Withdrawn {
  readonly type: "withdrawn";
  readonly id: MessageId;
  readonly reason: "answered" | "dismissed" | "muted" | "cancelled";
  readonly seq?: Seq;
  readonly [field: string]: unknown;
}

/** What the user wishes, whole: behind `welcome`, and to all devices of the user after a change. */
export interface Preferences {
  readonly type: "preferences";
  readonly level: Level;
  readonly muted: RuleNames;
  readonly snoozedUntil: EpochSeconds | null;
  readonly snoozed?: { readonly [name: string]: EpochSeconds };
  readonly seq?: Seq;
  readonly [field: string]: unknown;
}

/** What was asked for has not been done. */
export interface ErrorFrame {
  readonly type: "error";
  readonly code: ErrorCode;
  /** For whoever writes the client; of `responder_failed`, for the user. */
  readonly message: string;
  readonly frameId?: FrameId;
  /** Seconds after which it is worth another try. */
  readonly retryAfter?: number;
  /** Of `bad_rules`, each mistake with its place. */
  readonly problems?: readonly Problem[];
  readonly [field: string]: unknown;
}

/** The id of the frame that it is about, where it had one. */
export type FrameId = string | number;

/** A mistake in a rule file. Lines and columns begin with 1; 0 where the whole file is meant. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly code: string;
  readonly [field: string]: unknown;
}

/** For programs. A client takes one that it does not know for a failure that it cannot mend. */
export type ErrorCode = "bad_frame" | "bad_method" | "bad_origin" | "bad_rules" | "erased" | "forbidden" | "internal" | "no_client" | "no_session" | "not_found" | "not_stored" | "overloaded" | "rate_limited" | "replaced" | "reserved_type" | "responder_failed" | "too_big" | "too_many_chats" | "too_many_clients" | "too_many_connections" | "too_slow" | "unauthorized";

/** Is somebody there? Answered by `pong`. */
export interface ServerPing {
  readonly type: "ping";
  readonly [field: string]: unknown;
}

/** The answer to the client's `ping`. */
export interface ServerPong {
  readonly type: "pong";
  readonly [field: string]: unknown;
}
