// What an application does with the openai and @anthropic-ai/sdk packages for Node; prints JSON.
//
//     node ask_with_node.mjs PACKAGES BASE_URL KEY MODEL...
//
// PACKAGES is the folder whose node_modules has them. For each model: what each scene came to, or its error.

import { createRequire } from "node:module";
import { join } from "node:path";

const [packages, baseURL, key, ...models] = process.argv.slice(2);
const require = createRequire(join(packages, "node_modules", "x.js"));
const OpenAI = require("openai").default;
const Anthropic = require("@anthropic-ai/sdk").default;

const openai = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: key, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL, apiKey: key, maxRetries: 0 });

const QUESTION = "What is the weather in Paris?";
const TWICE = "Call for Paris and for London.";
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const described = { name: "get_weather", description: "The weather of a city." };
const chatTools = [{ type: "function", function: { ...described, parameters } }];
const responseTools = [{ type: "function", ...described, parameters, strict: true }];
const messageTools = [{ ...described, input_schema: parameters }];

const scenes = {
  async chat(model) {
    const stream = await openai.chat.completions.create({
      model,
      messages: [{ role: "user", content: QUESTION }],
      stream: true,
      stream_options: { include_usage: true },
    });
    const texts = [];
    let usage = null;
    for await (const chunk of stream) {
      texts.push(chunk.choices[0]?.delta?.content ?? "");
      usage = chunk.usage ?? usage;
    }
    return { text: texts.join(""), pieces: texts.filter(Boolean).length, total: usage.total_tokens };
  },

  async chat_tools(model) {
    const messages = [{ role: "user", content: TWICE }];
    const first = await openai.chat.completions.stream({ model, messages, tools: chatTools }).finalMessage();
    const inputs = first.tool_calls.map((call) => JSON.parse(call.function.arguments));
    const results = first.tool_calls.map((call, at) => ({
      role: "tool",
      tool_call_id: call.id,
      content: `sunny in ${inputs[at].city}`,
    }));
    const turn = [...messages, first, ...results];
    const second = await openai.chat.completions.create({ model, messages: turn, tools: chatTools });
    return { inputs, got: JSON.parse(second.choices[0].message.content) };
  },

  async responses(model) {
    const more = {
      model,
      tools: responseTools,
      store: false,
      reasoning: { effort: "low", summary: "auto" },
      include: ["reasoning.encrypted_content"],
      max_output_tokens: 4000,
    };
    const input = [{ role: "user", content: TWICE }];
    const stream = openai.responses.stream({ ...more, input });
    const kinds = new Set();
    for await (const event of stream) kinds.add(event.type);
    const first = await stream.finalResponse();
    const calls = first.output.filter((item) => item.type === "function_call");
    const inputs = calls.map((call) => JSON.parse(call.arguments));
    const results = calls.map((call, at) => ({
      type: "function_call_output",
      call_id: call.call_id,
      output: `sunny in ${inputs[at].city}`,
    }));
    // The helper adds to the items what the API does not know.
    const said = first.output.map(({ parsed_arguments, ...item }) => item);
    const second = await openai.responses.create({ ...more, input: [...input, ...said, ...results] });
    return { inputs, kinds: [...kinds], got: JSON.parse(second.output_text) };
  },

  async messages(model) {
    const stream = anthropic.messages.stream({
      model,
      max_tokens: 50,
      messages: [{ role: "user", content: QUESTION }],
    });
    let pieces = 0;
    stream.on("text", () => (pieces += 1));
    const message = await stream.finalMessage();
    return { text: message.content[0].text, pieces, stop_reason: message.stop_reason };
  },

  async messages_tools(model) {
    const more = {
      model,
      max_tokens: 4000,
      tools: messageTools,
      thinking: { type: "enabled", budget_tokens: 1024 },
    };
    const messages = [{ role: "user", content: TWICE }];
    const first = await anthropic.messages.stream({ ...more, messages }).finalMessage();
    const calls = first.content.filter((block) => block.type === "tool_use");
    const results = calls.map((call) => ({
      type: "tool_result",
      tool_use_id: call.id,
      content: `sunny in ${call.input.city}`,
    }));
    const turn = [...messages, { role: "assistant", content: first.content }, { role: "user", content: results }];
    const second = await anthropic.messages.create({ ...more, messages: turn });
    return { inputs: calls.map((call) => call.input), got: JSON.parse(second.content[0].text) };
  },

  async failures(model) {
    const fresh = () => `${model}-${Math.random().toString(36).slice(2, 6)}`;
    const told = async (asked) => {
      try {
        await asked;
        return "no error";
      } catch (error) {
        return { error: error.constructor.name, status: error.status };
      }
    };
    const messages = [{ role: "user", content: "Fail: rate_limit" }];
    return {
      openai: await told(openai.chat.completions.create({ model: fresh(), messages })),
      anthropic: await told(anthropic.messages.create({ model: fresh(), messages, max_tokens: 9 })),
    };
  },
};

const out = {};
for (const model of models) {
  out[model] = {};
  for (const [name, scene] of Object.entries(scenes)) {
    try {
      out[model][name] = await scene(model);
    } catch (error) {
      out[model][name] = { error: error.constructor.name, message: String(error.message) };
    }
  }
}
process.stdout.write(JSON.stringify(out));
