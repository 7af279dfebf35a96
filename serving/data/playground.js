// The playground's behaviour: it asks the server that it came from and no other, and writes what a model wrote as text alone.
import { coloured, colouredBlocks } from "./syntax.js";

const one = (selector) => document.querySelector(selector);
const made = (name, text = "", kind = "") => {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  if (kind) element.className = kind;
  return element;
};
const [form, given, result, talk, told, failed, done] = ["#form", "#given", "#result", "#talk", "#token", "#error", "#done"].map(one);

// The theme: that of the system, or one that was chosen.
const themes = ["auto", "light", "dark"], button = one("#theme");
let theme = themes.includes(localStorage.theme) ? localStorage.theme : "auto";
const paint = () => {
  if (theme === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.dataset.theme = theme;
  button.textContent = `Theme: ${theme}`;
};
button.addEventListener("click", () => {
  localStorage.theme = theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  paint();
});
paint();

const ABOUT = {
  complete: "The model writes what follows the text.",
  fill: "The model fills the place of the cursor, or replaces what is selected.",
  edit: "The model is asked, as in a chat, for the text changed by the instruction; the first block of code in its answer is the result.",
  chat: "A conversation. A model without a chat template gets it behind a page of examples.",
};
const LABEL = { complete: "Text", fill: "Text with a cursor", edit: "Text to edit", chat: "Message" };
let mode = "complete", asking = null, kept = "";
let conversation = []; // {role, content}
let shown = { before: "", pieces: [], after: "" }; // what the result holds

const setMode = () => {
  const was = mode;
  mode = form.elements.mode.value;
  asking?.abort();
  if ((was === "chat") !== (mode === "chat")) [given.value, kept] = [kept, given.value];
  one("#about").textContent = ABOUT[mode];
  one("label[for=given]").textContent = LABEL[mode];
  one("#instruction-row").hidden = mode !== "edit";
  one("#take").hidden = result.hidden = mode === "chat";
  talk.hidden = one("#clear").hidden = mode !== "chat";
  shown = { before: "", pieces: [], after: "" };
  for (const element of [result, told, failed, done]) element.replaceChildren();
  one("#take").disabled = true;
  one("#sources").hidden = true;
};
form.addEventListener("change", (event) => { if (event.target.name === "mode") setMode(); });

// Write a text into an element: colours, and each token of the model as a span that can be pointed at. `known`: spans to underline.
const written = (pieces) => pieces.map((piece) => piece.text).join("");
const write = (target, { before, pieces, after }, colour, known = []) => {
  const text = before + written(pieces) + after;
  const marks = [...colour(text), ...known.map(([from, to]) => [from, to, "known"])];
  const edges = new Set([0, text.length]);
  for (const [from, to] of marks) edges.add(from).add(to);
  const all = document.createDocumentFragment(), starts = marks.sort((a, b) => a[0] - b[0]), open = [];
  const cuts = [...edges].sort((a, b) => a - b);
  let cut = 0, mark = 0;
  const part = (to, from, parent) => { // append text[from:to], each stretch in its colour
    while (from < to) {
      while (cut < cuts.length && cuts[cut] <= from) cut += 1;
      const end = Math.min(to, cuts[cut] ?? to);
      while (mark < starts.length && starts[mark][0] <= from) open.push(starts[mark++]);
      for (let at = open.length - 1; at >= 0; at -= 1) if (open[at][1] <= from) open.splice(at, 1);
      const kind = open.map((found) => found[2]).join(" ");
      parent.append(kind ? made("span", text.slice(from, end), kind) : text.slice(from, end));
      from = end;
    }
  };
  part(before.length, 0, all);
  let at = before.length;
  pieces.forEach((piece, index) => {
    const likely = piece.tokens[0]?.p, span = made("span", "", "new");
    if (likely !== undefined) span.classList.add(likely < 0.1 ? "p0" : likely < 0.5 ? "p1" : likely < 0.9 ? "p2" : "p3");
    if (/^\s*\n\s*$/.test(piece.text)) span.classList.add("line"); // with a mark, so that it can be pointed at
    span.dataset.index = index;
    part(at + piece.text.length, at, span);
    all.append(span);
    at += piece.text.length;
  });
  part(text.length, at, all);
  target.replaceChildren(all);
  target.pieces = pieces;
};

// A token's probability, and what else could have stood there.
const percent = (p) => (p < 0.001 ? "< 0.1 %" : `${(100 * p).toFixed(1)} %`);
const pick = (target, index) => {
  for (const span of document.querySelectorAll(".picked")) span.classList.remove("picked");
  told.replaceChildren();
  const piece = target.pieces?.[index];
  if (!piece) return;
  target.querySelector(`[data-index="${index}"]`)?.classList.add("picked");
  target.picked = index;
  for (const token of piece.tokens) {
    const line = made("div");
    line.append(made("code", JSON.stringify(token.text)), ` ${percent(token.p)}`);
    const others = token.tops.filter(([text]) => text !== token.text);
    if (others.length) line.append("; else ");
    others.forEach(([text, p], at) => line.append(at ? ", " : "", made("code", JSON.stringify(text)), ` ${percent(p)}`));
    told.append(line);
  }
  if (!piece.tokens.length) told.textContent = "No probabilities were asked for.";
};
const point = (event) => {
  const span = event.target.closest?.("[data-index]");
  if (span) pick(span.closest("pre"), Number(span.dataset.index));
};
for (const name of ["mouseover", "click"]) for (const pane of [result, talk]) pane.addEventListener(name, point);
document.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step && event.target.pieces) {
    const last = event.target.pieces.length - 1;
    pick(event.target, Math.max(0, Math.min(last, (event.target.picked ?? (step > 0 ? -1 : last + 1)) + step)));
    event.preventDefault();
  } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  } else if (event.key === "Enter" && event.altKey) {
    event.preventDefault();
    one("#take").click();
  } else if (event.key === "Escape") asking?.abort();
});
one("#shade").addEventListener("change", (event) => document.body.classList.toggle("shade", event.target.checked));

// What is asked of the server.
const headers = () => {
  const key = one("#key").value.trim();
  return { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) };
};
const number = (id) => (one(id).value === "" ? undefined : Number(one(id).value));
const settings = () => ({
  max_tokens: number("#most"),
  temperature: number("#temperature"),
  top_p: number("#top_p"),
  seed: number("#seed"),
  stop: one("#stops").value.split("\n").filter(Boolean).map((stop) => stop.replaceAll(/\\([nt\\])/g, (_, c) => ({ n: "\n", t: "\t" })[c] ?? "\\")),
  stream: one("#stream").checked,
});
const why = async (reply) => {
  const body = await reply.json().catch(() => null);
  return body?.error?.message ?? `The server said ${reply.status}.`;
};
// Yield the replies of a request: one, or each piece of a stream.
async function* replies(address, body, signal) {
  const reply = await fetch(address, { method: "POST", headers: headers(), body: JSON.stringify(body), signal });
  if (!reply.ok) throw new Error(await why(reply));
  if (!body.stream) return yield await reply.json();
  let rest = "";
  for (const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader(); ;) {
    const { value, done: ended } = await reader.read();
    if (ended) return;
    const lines = (rest + value).split("\n\n");
    rest = lines.pop();
    for (const line of lines) {
      const data = line.replace(/^data: ?/, "");
      if (data === "[DONE]") return;
      const found = JSON.parse(data);
      if (found.error) throw new Error(found.error.message);
      yield found;
    }
  }
}
// Return the tokens of a reply, with their probabilities, of either of the two kinds.
const tokensOf = (logprobs) => {
  const chat = logprobs?.content?.map((t) => ({ text: t.token, p: Math.exp(t.logprob), tops: t.top_logprobs.map((o) => [o.token, Math.exp(o.logprob)]) }));
  return chat ?? (logprobs?.tokens ?? []).map((text, at) => ({
    text,
    p: Math.exp(logprobs.token_logprobs[at]),
    tops: Object.entries(logprobs.top_logprobs[at] ?? {}).map(([other, p]) => [other, Math.exp(p)]).sort((a, b) => b[1] - a[1]),
  }));
};
// Return a text in pieces of a token each; where tokens are parts of characters, or a stop was cut off, in one piece.
const pieces = (text, tokens) => {
  let rest = text;
  const found = [];
  for (const token of tokens) {
    if (!token.text || !rest.startsWith(token.text)) break;
    rest = rest.slice(token.text.length);
    found.push({ text: token.text, tokens: [token] });
  }
  if (rest) found.push({ text: rest, tokens: tokens.slice(found.length) });
  return found;
};

const plain = () => [];
const fenced = (text) => /^```[^\n]*\n([^]*?)(?:^```|$(?![^]))/m.exec(text)?.[1] ?? text;
const request = () => {
  const text = given.value, [from, to] = [given.selectionStart, given.selectionEnd], tops = one("#probabilities").checked;
  if (mode === "complete" || mode === "fill") {
    const [before, after] = mode === "fill" ? [text.slice(0, from), text.slice(to)] : [text, ""];
    const body = { ...settings(), prompt: before, ...(after && { suffix: after }), ...(tops && { logprobs: 4 }) };
    return { address: "/v1/completions", body, before, after };
  }
  const asked = mode === "chat" ? text : `${one("#instruction").value}\n\n\`\`\`\n${text.replace(/\n?$/, "\n")}\`\`\`\n\nAnswer with all of the changed code in one block.`;
  const messages = [...(mode === "chat" ? conversation : []), { role: "user", content: asked }];
  return { address: "/v1/chat/completions", body: { ...settings(), messages, ...(tops && { logprobs: true, top_logprobs: 4 }) }, before: "", after: "" };
};
const turn = (role, text) => {
  const item = made("li"), pane = made("pre");
  pane.tabIndex = 0;
  pane.setAttribute("role", "group");
  pane.setAttribute("aria-label", role);
  item.append(made("h3", role), pane);
  talk.append(item);
  write(pane, { before: text, pieces: [], after: "" }, colouredBlocks);
  return pane;
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  asking?.abort();
  const { address, body, before, after } = request(), mine = (asking = new AbortController()), chat = mode === "chat";
  const colour = chat ? colouredBlocks : mode === "edit" ? plain : coloured;
  for (const element of [told, failed, done]) element.replaceChildren();
  one("#sources").hidden = true;
  one("#halt").disabled = false;
  one("#take").disabled = true;
  let target = result, drawn = 0;
  if (chat) {
    turn("You", given.value);
    target = turn("Model", "");
  }
  target.picked = undefined;
  target.setAttribute("aria-busy", "true");
  const now = { before, pieces: [], after }, begun = performance.now();
  let count = 0, ended = "";
  const draw = () => {
    drawn = 0;
    if (asking !== mine) return;
    write(target, now, colour);
    if (chat) talk.scrollTop = talk.scrollHeight;
  };
  try {
    for await (const reply of replies(address, body, mine.signal)) {
      const choice = reply.choices[0];
      if (!choice) continue;
      const text = choice.text ?? choice.delta?.content ?? choice.message?.content ?? "", tokens = tokensOf(choice.logprobs);
      now.pieces.push(...pieces(text, tokens));
      count += tokens.length;
      ended = choice.finish_reason ?? ended;
      drawn ||= requestAnimationFrame(draw);
    }
  } catch (error) {
    ended = "stopped";
    if (error.name !== "AbortError" && asking === mine) failed.textContent = error.message;
  }
  cancelAnimationFrame(drawn);
  if (asking !== mine) return;
  if (mode === "edit" && !failed.textContent) {
    const all = written(now.pieces), code = fenced(all), from = all.indexOf(code);
    let at = 0;
    now.pieces = now.pieces.flatMap((piece) => { // those of the block alone
      const begin = Math.max(from - at, 0), end = Math.min(from + code.length - at, piece.text.length);
      at += piece.text.length;
      return begin < end ? [{ ...piece, text: piece.text.slice(begin, end) }] : [];
    });
  }
  shown = now;
  write(target, now, chat ? colouredBlocks : coloured);
  target.removeAttribute("aria-busy");
  asking = null;
  one("#halt").disabled = true;
  one("#take").disabled = !now.pieces.length;
  const seconds = (performance.now() - begun) / 1000;
  if (!failed.textContent) done.textContent = `${count ? `${count} tokens, ` : ""}${seconds.toFixed(1)} s, ${{ length: "as long as allowed", stop: "ended by itself or at a stop", stopped: "stopped" }[ended] ?? "ended"}.`;
  if (chat && now.pieces.length) {
    conversation.push(body.messages.at(-1), { role: "assistant", content: written(now.pieces) });
    given.value = "";
  }
  if (now.pieces.length) await attribute(target, now, chat ? colouredBlocks : coloured);
});
one("#halt").addEventListener("click", () => asking?.abort());
one("#clear").addEventListener("click", () => {
  asking?.abort();
  conversation = [];
  talk.replaceChildren();
  given.focus();
});
one("#take").addEventListener("click", () => {
  if (one("#take").disabled || mode === "chat") return;
  const upto = shown.before.length + written(shown.pieces).length;
  given.value = shown.before + written(shown.pieces) + shown.after;
  given.focus();
  given.setSelectionRange(upto, upto);
});

// Which files of the training data hold what was written, where the server knows a release.
async function attribute(target, now, colour) {
  if (!model?.attribution) return;
  const text = now.before + written(now.pieces), characters = [...text];
  const reply = await fetch("/attribute", { method: "POST", headers: headers(), body: JSON.stringify({ text }) }).catch(() => null);
  if (!reply?.ok || target.pieces !== now.pieces) return;
  const unit = [0]; // of each character, where it begins in the text's UTF-16 units
  for (const character of characters) unit.push(unit.at(-1) + character.length);
  const found = (await reply.json()).spans.filter((span) => unit[span.end] > now.before.length);
  write(target, now, colour, found.map((span) => [unit[span.start], unit[span.end]]));
  one("#spans").replaceChildren(...found.map((span) => {
    const item = made("li"), files = made("ul");
    item.append(made("code", characters.slice(span.start, span.end).join("").trim().split("\n")[0].slice(0, 80)), files);
    for (const file of span.files) {
      const licences = (file.licenses ?? []).join(", ") || file.license_type || "no licence found";
      files.append(made("li", `${file.repo_name}: ${file.path}, lines ${file.first_line} to ${file.last_line}; ${licences}; ${file.swhid}`));
    }
    return item;
  }));
  if (!found.length) one("#spans").replaceChildren(made("li", "Nothing of it was found."));
  one("#sources").hidden = false;
}

const models = await fetch("/v1/models").catch(() => null);
const model = models?.ok ? (await models.json()).data[0] : null;
const room = model?.max_model_len ? `, ${model.max_model_len.toLocaleString("en-US")} tokens of context` : ""; // another server may not say
one("#model").textContent = model ? model.id + room : "";
setMode();
