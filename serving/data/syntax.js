// Colours of code in any language: comments, strings, numbers, and the words that most languages keep for themselves.
const WORDS = `abstract and as assert async await begin bool boolean break byte case catch char class const continue def default defer del delete do
double elif else elsif end enum except export extends extern false False final finally float fn for foreach from func function global go goto if impl
implements import in include instanceof int interface is lambda let local long loop match mod module mut namespace new nil none None nonlocal not null
of or override package pass private protected pub public raise repeat require rescue return self short signed sizeof static string struct super switch
template then this throw throws trait true True try type typedef typeof union unless unsigned until use using val var virtual void volatile when where
while with yield`.split(/\s+/);
const KEPT = new Set(WORDS);
// Each alternative reads to its own end or to that of the line or text, without going back: linear in the text.
const TOKEN = new RegExp(
  [
    String.raw`(?<comment>\/\*[^]*?(?:\*\/|$(?![^]))|\/\/[^\n]*|(?<![^\s;{(])#[^\n]*)`,
    String.raw`(?<string>"""[^]*?(?:"""|$(?![^]))|'''[^]*?(?:'''|$(?![^]))|"(?:\\[^]|[^"\\\n])*"?|'(?:\\[^]|[^'\\\n])*'?|\x60(?:\\[^]|[^\x60\\])*\x60?)`,
    String.raw`(?<number>\b\d[\w.]*)`,
    String.raw`(?<word>[\p{L}_$][\p{L}\p{N}_$]*)`,
  ].join("|"),
  "gu",
);

// Return the pieces of a text that have a colour: [from, to, class], in order and apart.
export const coloured = (text) => {
  const found = [];
  for (const match of text.matchAll(TOKEN)) {
    const { comment, string, number, word } = match.groups, end = match.index + match[0].length;
    const kind = comment ? "comment" : string ? "string" : number ? "number" : KEPT.has(word) ? "kept" : text[end] === "(" ? "call" : null;
    if (kind) found.push([match.index, end, kind]);
  }
  return found;
};

// Return the coloured pieces of what is said in a chat: its blocks between fences.
export const colouredBlocks = (text) => {
  const found = [];
  for (const match of text.matchAll(/^```[^\n]*\n([^]*?)(?:^```|$(?![^]))/gm)) {
    const begin = match.index + match[0].indexOf("\n") + 1;
    for (const [from, to, kind] of coloured(match[1])) found.push([begin + from, begin + to, kind]);
  }
  return found;
};
