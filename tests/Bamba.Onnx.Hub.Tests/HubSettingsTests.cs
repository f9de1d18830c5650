using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Hub.Tests;

public sealed class HubSettingsTests
{
    private static readonly string User = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);

    private static HubSettings With(params (string Name, string Value)[] variables) =>
        HubSettings.From(name => variables.FirstOrDefault(variable => variable.Name == name).Value);

    [Fact]
    public void Without_variables_places_are_Hugging_Faces_own()
    {
        HubSettings settings = HubSettings.Default;
        Assert.Equal(Path.Combine(User, ".cache", "huggingface", "hub"), settings.HubCacheFolder);
        Assert.Equal(Path.Combine(User, ".cache", "huggingface", "token"), settings.TokenFile);
        Assert.Equal(new Uri("https://huggingface.co"), settings.Endpoint);
        Assert.False(settings.Offline);
    }

    [Fact]
    public void A_nearer_variable_goes_before_a_farther_one()
    {
        Assert.Equal(Path.Combine("/x", "huggingface", "hub"), With(("XDG_CACHE_HOME", "/x")).HubCacheFolder);
        Assert.Equal(Path.Combine("/h", "hub"), With(("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/h")).HubCacheFolder);
        Assert.Equal("/c", With(("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")).HubCacheFolder);
        Assert.Equal(Path.Combine(User, "c"), With(("HF_HUB_CACHE", "~/c")).HubCacheFolder);
        Assert.Equal(Path.Combine("/h", "token"), With(("HF_HOME", "/h")).TokenFile);
        Assert.Equal("/t", With(("HF_HOME", "/h"), ("HF_TOKEN_PATH", "/t")).TokenFile);
        Assert.Equal("/e", With(("XDG_CACHE_HOME", "/x"), ("BAMBA_ONNX_CACHE", "/e")).ExportCacheFolder);
    }

    [Theory]
    [InlineData("1", true)]
    [InlineData("true", true)]
    [InlineData("Yes", true)]
    [InlineData("ON", true)]
    [InlineData("0", false)]
    [InlineData("", false)]
    public void Offline_is_what_Hugging_Face_takes_for_true(string value, bool expected) =>
        Assert.Equal(expected, With(("HF_HUB_OFFLINE", value)).Offline);

    [Fact]
    public void The_token_of_the_variable_goes_before_the_files()
    {
        using var folder = new TemporaryFolder();
        Assert.Null(With(("HF_HOME", folder.Path)).ReadToken());
        File.WriteAllText(folder["token"], "hf_file\n");
        Assert.Equal("hf_file", With(("HF_HOME", folder.Path)).ReadToken());
        Assert.Equal("hf_variable", With(("HF_HOME", folder.Path), ("HF_TOKEN", " hf_variable\n")).ReadToken());
    }

    [Fact]
    public void The_token_is_not_printed() =>
        Assert.DoesNotContain("hf_secret", With(("HF_TOKEN", "hf_secret")).ToString());

    [Theory]
    [InlineData("huggingface.co")]
    [InlineData("ftp://huggingface.co")]
    public void An_endpoint_that_is_no_address_is_refused(string value) =>
        Assert.Contains(
            $"HF_ENDPOINT: expected an address such as https://huggingface.co/, found '{value}'",
            Assert.Throws<ArgumentException>(() => With(("HF_ENDPOINT", value))).Message
        );
}
