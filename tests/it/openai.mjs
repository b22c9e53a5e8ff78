// SPDX-License-Identifier: MIT
// Talks to the daemon with the official client: node openai.mjs URL
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2] + "/v1", apiKey: "none", maxRetries: 0 });
let n = 0, failed = 0;
function ok(good, name, detail) {
    n++;
    if (!good) failed++;
    console.log(`${good ? "ok" : "not ok"} ${n} - openai: ${name}`);
    if (!good) console.log("#   " + JSON.stringify(detail));
}

const models = [];
for await (const m of await client.models.list()) models.push(m.id);
ok(models.includes("tale"), "models.list", models);
ok((await client.models.retrieve("tale")).id === "tale", "models.retrieve");

const ask = { model: "tale", prompt: "Once upon a time", max_tokens: 16, temperature: 0 };
const whole = await client.completions.create(ask);
ok(whole.choices[0].text.startsWith(", there was") && whole.usage.completion_tokens === 16, "completions.create", whole);
let text = "";
for await (const part of await client.completions.create({ ...ask, stream: true })) text += part.choices[0]?.text ?? "";
ok(text === whole.choices[0].text, "completions.create, streamed", text);

const chat = { model: "tale", messages: [{ role: "user", content: "Once upon a time" }], max_tokens: 16, temperature: 0 };
const answer = await client.chat.completions.create(chat);
ok(answer.choices[0].message.content === text && answer.choices[0].finish_reason === "length", "chat.completions.create",
    answer);
let said = "", usage = null;
for await (const part of await client.chat.completions.create(
    { ...chat, stream: true, stream_options: { include_usage: true } })) {
    said += part.choices[0]?.delta?.content ?? "";
    usage = part.usage ?? usage;
}
ok(said === text && usage?.completion_tokens === 16, "chat.completions.create, streamed", { said, usage });
const runner = client.chat.completions.stream(chat);
const final = await runner.finalChatCompletion();
ok(final.choices[0].message.content === text, "chat.completions.stream, the helper", final);
const probs = await client.chat.completions.create({ ...chat, logprobs: true, top_logprobs: 3 });
ok(probs.choices[0].logprobs.content.length === 16 && probs.choices[0].logprobs.content[0].top_logprobs.length === 3,
    "logprobs", probs.choices[0].logprobs);

for (const [name, body, type, status] of [
    ["an unknown model", { ...chat, model: "gpt-9" }, OpenAI.NotFoundError, 404],
    ["a bad parameter", { ...chat, temperature: "hot" }, OpenAI.BadRequestError, 400]]) {
    try {
        await client.chat.completions.create(body);
        ok(false, name, "no error");
    } catch (e) {
        ok(e instanceof type && e.status === status && e.message.length > 10, `${name}: ${status}`, String(e));
    }
}

const abort = new AbortController();
let seen = 0;
try {
    for await (const part of await client.chat.completions.create(
        { ...chat, max_tokens: 400, ignore_eos: true, stream: true }, { signal: abort.signal }))
        if (++seen === 3) abort.abort();
} catch (e) {
    if (e.name !== "AbortError" && !(e instanceof OpenAI.APIUserAbortError)) throw e;
}
ok(seen >= 3 && seen < 300, "an aborted stream", seen);
console.log(`1..${n}`);
process.exit(failed ? 1 : 0);
