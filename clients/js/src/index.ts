/**
 * `@proactive/client`: talks to a proactive server from browsers and Node.
 *
 * @packageDocumentation
 */

export {
  isBackendMessage,
  isChatResponse,
  isCodeSuggestion,
  isQuestion,
  ProactiveClient,
  type ClientEvents,
  type ClientOptions,
  type Message,
  type Problem,
  type Told,
} from "./client.js";
export type { Ending, Why } from "./closing.js";
export type { ChatDelta, ChatFailure, Delivery } from "./effects.js";
export type { ConnectionState, OfflineReason, Transport } from "./states.js";
export type {
  Activity,
  BackendMessage,
  ChatMessage,
  ChatResponse,
  ClientEvent,
  CodeSuggestion,
  ErrorFrame,
  Level,
  OtherMessage,
  Outcome,
  Preferences,
  PreferencesChange,
  ServerMessage,
  UserIdentify,
  UserResponse,
  Withdrawn,
} from "./frames.js";
export type { Hint, Platform, WebSocketClass, WebSocketLike } from "./platform.js";

export type { KeyValueStorage } from "./storage.js";
export { claimTab, type LocksLike, type Tab } from "./tab.js";
