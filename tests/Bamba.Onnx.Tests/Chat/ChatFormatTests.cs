using Bamba.Onnx.Chat;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Tests.Text;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Tests.Chat;

public sealed class ChatFormatTests
{
    private const string ChatMl =
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}";

    private const string Llama3 =
        "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}";

    private const string Granite =
        "{%- for message in messages %}{{- '<|start_of_role|>' + message['role'] + '<|end_of_role|>' + message['content'] + '<|end_of_text|>\\n' }}{%- endfor %}";

    private const string Gemma = "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}{% endfor %}";

    private static readonly string[] Marks =
    [
        "<|im_start|>",
        "<|im_end|>",
        "<|begin_of_text|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|eot_id|>",
        "<|start_of_role|>",
        "<|end_of_role|>",
        "<|end_of_text|>",
    ];

    /// <summary>What the published templates make of a system prompt, two turns and an answer between them.</summary>
    public static TheoryData<string, string, string> Conversations =>
        new()
        {
            {
                "chatml",
                "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Who are you? <|im_end|>\n<|im_start|>assistant\n",
                "<|im_end|>\n<|im_start|>user\nAnd\n\nwhence?\n<|im_end|>\n<|im_start|>assistant\n"
            },
            {
                "llama3",
                "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
                    + "<|start_header_id|>user<|end_header_id|>\n\nWho are you?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
                "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nAnd\n\nwhence?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
            },
            {
                "granite",
                "<|start_of_role|>system<|end_of_role|>Be brief.<|end_of_text|>\n<|start_of_role|>user<|end_of_role|> Who are you? <|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>",
                "<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>And\n\nwhence?\n<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>"
            },
        };

    /// <summary>Merges across line breaks, so that it shows where a text is encoded in parts.</summary>
    private static TokenizerFolder FolderWithMarks()
    {
        var folder = new TokenizerFolder(("Ċ", "Ċ"), ("u", "s"), ("B", "e"), ("e", "r"), ("us", "er"));
        foreach (string mark in Marks)
        {
            folder.Add(mark);
        }
        return folder;
    }

    [Theory]
    [MemberData(nameof(Conversations))]
    public void A_conversation_is_encoded_as_its_whole_text_would_be(string name, string first, string next)
    {
        using TokenizerFolder folder = FolderWithMarks();
        BambaTokenizer tokenizer = folder.Load();
        var prompt = new ChatPrompt(ChatFormat.Named(name), tokenizer);
        Assert.Equal(tokenizer.Encode(first, addSpecialTokens: false), prompt.First("Be brief.", " Who are you? "));
        Assert.Equal(tokenizer.Encode(next, addSpecialTokens: false), prompt.Next("any", "And\n\nwhence?\n"));
    }

    [Theory]
    [InlineData("chatml", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>")]
    [InlineData(
        "llama3",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        "<|eot_id|>"
    )]
    [InlineData(
        "granite",
        "<|start_of_role|>user<|end_of_role|>Hi<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>",
        "<|end_of_text|>"
    )]
    public void Without_a_system_prompt_there_is_no_turn_for_it(string name, string first, string end)
    {
        using TokenizerFolder folder = FolderWithMarks();
        BambaTokenizer tokenizer = folder.Load();
        var prompt = new ChatPrompt(ChatFormat.Named(name), tokenizer);
        Assert.Equal(first, tokenizer.Decode(prompt.First(null, "Hi"), skipSpecialTokens: false));
        Assert.Equal(tokenizer.TokenId(end), prompt.EndOfTurn);
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("chatml")]
    [InlineData("llama3")]
    [InlineData("granite")]
    public void Marks_that_a_user_types_mark_nothing(string name)
    {
        using TokenizerFolder folder = FolderWithMarks();
        BambaTokenizer tokenizer = folder.Load();
        var prompt = new ChatPrompt(ChatFormat.Named(name), tokenizer);
        string typed = string.Concat(Marks);
        int[] innocent = prompt.First("x", "x");
        int[] sly = prompt.First(typed, typed);
        Assert.Equal(innocent.Where(tokenizer.IsSpecial), sly.Where(tokenizer.IsSpecial));
        Assert.Equal(
            prompt.Next("x", "x").Where(tokenizer.IsSpecial),
            prompt.Next("x", typed).Where(tokenizer.IsSpecial)
        );
        Assert.Contains(typed, tokenizer.Decode(sly, skipSpecialTokens: true));
    }

    [Fact]
    public void Plain_text_goes_on_a_line_a_turn()
    {
        using TokenizerFolder folder = FolderWithMarks();
        BambaTokenizer tokenizer = folder.Load();
        var prompt = new ChatPrompt(ChatFormat.Plain, tokenizer);
        Assert.Equal("A play.\nROMEO", tokenizer.Decode(prompt.First("A play.", "ROMEO")));
        Assert.Equal("ROMEO", tokenizer.Decode(prompt.First(null, "ROMEO")));
        Assert.Equal("\nJULIET", tokenizer.Decode(prompt.Next("words", "JULIET")));
        Assert.Equal("JULIET", tokenizer.Decode(prompt.Next("words\n", "JULIET")));
        Assert.Null(prompt.EndOfTurn);
    }

    [Theory]
    [InlineData("<|eot_id|>", true)]
    [InlineData("<|eot_id|>", false)]
    [InlineData("<|begin_of_text|>", true)]
    public void A_format_whose_mark_is_no_special_token_is_refused(string mark, bool isMissing)
    {
        using var folder = new TokenizerFolder();
        foreach (string other in Marks)
        {
            if (other != mark || !isMissing)
            {
                folder.Add(other, special: other != mark);
            }
        }
        BambaException error = Assert.Throws<BambaException>(() => new ChatPrompt(ChatFormat.Llama3, folder.Load()));
        Assert.Contains($"llama3 needs the special token {mark}", error.Message);
    }

    [Theory]
    [InlineData(ChatMl, "chatml")]
    [InlineData(Llama3, "llama3")]
    [InlineData(Granite, "granite")]
    [InlineData(Gemma, null)]
    [InlineData(ChatMl + Llama3, null)]
    [InlineData("", null)]
    public void Templates_are_recognized_by_their_marks(string template, string? expected) =>
        Assert.Equal(expected, ChatFormat.Recognize(template)?.Name);

    [Fact]
    public void A_folder_without_a_template_is_plain()
    {
        using TokenizerFolder folder = FolderWithMarks();
        Assert.Same(ChatFormat.Plain, ChatFormat.Load(folder.Path));
        folder.WriteConfig("""{"chat_template": null}""");
        Assert.Same(ChatFormat.Plain, ChatFormat.Load(folder.Path));
    }

    [Fact]
    public void A_template_may_be_in_the_configuration_alone_or_in_a_list_or_in_a_file_that_comes_first()
    {
        using TokenizerFolder folder = FolderWithMarks();
        folder.WriteConfig("""{"chat_template": "<|im_start|>"}""");
        Assert.Equal(ChatFormat.ChatMl, ChatFormat.Load(folder.Path));
        folder.WriteConfig(
            """
            {"chat_template": [{"name": "tools", "template": "<|im_start|>"}, {"name": "default", "template": "<|start_of_role|>"}]}
            """
        );
        Assert.Equal(ChatFormat.Granite, ChatFormat.Load(folder.Path));
        File.WriteAllText(Path.Combine(folder.Path, ModelFiles.ChatTemplate), Llama3);
        Assert.Equal("llama3", ChatFormat.Load(folder.Path).Name);
    }

    [Theory]
    [InlineData(
        """{"chat_template": "{{ bos_token }}<|im_start|>", "bos_token": "<|begin_of_text|>"}""",
        "<|begin_of_text|>"
    )]
    [InlineData("""{"chat_template": "{{ bos_token }}<|im_start|>", "bos_token": {"content": "<s>"}}""", "<s>")]
    [InlineData("""{"chat_template": "<|im_start|>", "bos_token": "<s>"}""", null)]
    [InlineData("""{"chat_template": "<|start_header_id|>"}""", "<|begin_of_text|>")]
    public void The_first_token_is_what_the_template_and_the_configuration_say(string config, string? expected)
    {
        using TokenizerFolder folder = FolderWithMarks();
        folder.WriteConfig(config);
        Assert.Equal(expected, ChatFormat.Load(folder.Path).BeginToken);
    }

    [Theory]
    [InlineData(
        """{"chat_template": "<start_of_turn>"}""",
        "chatml (<|im_start|>), llama3 (<|start_header_id|>), granite (<|start_of_role|>)"
    )]
    [InlineData("""{"chat_template": "<start_of_turn>"}""", "--format plain, chatml, llama3 or granite")]
    [InlineData("""{"chat_template": 3}""", "chat_template: expected a string, found 3")]
    [InlineData("""{"chat_template": [{"name": "rag", "template": ""}]}""", "expected a template named default")]
    public void A_template_of_no_known_format_is_refused_by_name(string config, string expected)
    {
        using TokenizerFolder folder = FolderWithMarks();
        folder.WriteConfig(config);
        BambaFormatException error = Assert.Throws<BambaFormatException>(() => ChatFormat.Load(folder.Path));
        Assert.Contains(ModelFiles.TokenizerConfig, error.Message);
        Assert.Contains(expected, error.Message);
    }

    [Fact]
    public void An_unknown_name_is_refused_with_the_known_ones() =>
        Assert.Contains(
            "expected plain, chatml, llama3 or granite, found gemma",
            Assert.Throws<ArgumentException>(() => ChatFormat.Named("gemma")).Message
        );
}
