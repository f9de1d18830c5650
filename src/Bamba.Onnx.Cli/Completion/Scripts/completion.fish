# fish completion for bamba-onnx; the command itself knows what may come next.
function __bamba_onnx_proposals
    set -l words (commandline -opc)
    set -l line bamba-onnx
    for word in $words[2..] (commandline -ct | string unescape)
        if string match -q '* *' -- $word
            set word "\"$word\""
        end
        set line "$line $word"
    end
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    $program "[suggest:"(string length -- $line)"]" $line 2>/dev/null
end
complete -c bamba-onnx -f -a '(__bamba_onnx_proposals)'
