# Linguist's own code over files: ruby linguist.rb LIBRARY FOLDER_OF_ITS_TOKENIZER < lines "file<TAB>path"; a JSON array a line: path, language,
# vendored, generated, documentation. Samples that its classifier learns are counted once, beside its library.
$VERBOSE = nil
$:.unshift(ARGV[0], *ARGV[1..])
require 'json'
require 'linguist/samples'
unless File.exist?(Linguist::Samples::PATH)
  File.write(Linguist::Samples::PATH, JSON.generate(Linguist::Samples.data))
end
require 'linguist'
STDIN.each_line do |line|
  file, path = line.chomp.split("\t")
  blob = Linguist::Blob.new(path, File.binread(file))
  language = blob.binary? ? nil : Linguist.detect(blob, allow_empty: true)
  puts JSON.generate([path, language && language.name, !!blob.vendored?, !!blob.generated?, !!blob.documentation?])
end
